//! What MCP's schema says of each member that a server sends, in one table: what its value must be,
//! and what becomes of it where it is something else. It covers the revisions from 2024-11-05 to
//! 2025-11-25; members that it does not know stay as they are, in any revision.

use crate::mcp::method;

/// What a value must be.
pub(super) enum Type {
    /// A string.
    Text,
    /// A string that is not empty.
    Name,
    /// `true` or `false`.
    Flag,
    /// An integer that is not negative.
    Count,
    /// A number from 0 to 1.
    Fraction,
    /// A string or an integer.
    Token,
    /// A date with a time and an offset from UTC (RFC 3339).
    Moment,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of strings that hold no commas.
    Words,
    /// A list of at most 100 strings.
    Values,
    /// Bytes in Base64.
    Base64,
    /// A URI with a scheme.
    Uri,
    /// A template of such URIs.
    UriTemplate,
    /// The revision of MCP that the server speaks.
    Revision,
    /// An object with these members, and any others.
    Object(&'static Shape),
    /// The same as a capability: `true` stands for the empty object.
    Feature(&'static Shape),
    /// A list whose items are of this type.
    List(&'static Type),
    /// An object whose members are of this type.
    Map(&'static Type),
    /// The JSON Schema of an object.
    InputSchema,
    /// The JSON Schema of an object, which may be left out.
    OutputSchema,
    /// Any JSON, which revisions up to 2025-11-25 allow to be an object only.
    Structured,
    /// The items of `content`.
    Content,
    /// The contents of a resource.
    Contents,
    /// The contents of several resources.
    ContentsList,
    /// The messages of a prompt.
    Messages,
}

/// What becomes of an object whose member does not fit, or is missing.
pub(super) enum Rule {
    /// The member may be missing, and is removed where it does not fit.
    Optional,
    /// The member is added where it is missing, and replaced where it does not fit.
    Required(Default),
    /// The object cannot be used without the member.
    Needed,
}

/// What a required member gets.
pub(super) enum Default {
    /// This JSON.
    Json(&'static str),
    /// The value of the first of these members that is there and not empty.
    Member(&'static [&'static str]),
    /// The revision that the client asked for.
    Revision,
    /// What we call the server.
    ServerName,
    /// The server's name and an unknown version.
    ServerInfo,
}

/// One member of an object.
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) holds: Type,
    pub(super) rule: Rule,
}

/// The known members of an object.
pub(super) struct Shape {
    pub(super) members: &'static [Member],
    /// The member that a bare string or list in place of the object stands for.
    pub(super) text: Option<&'static str>,
}

impl Shape {
    /// Whether `name` is one of the members.
    pub(super) fn has(&self, name: Option<String>) -> bool {
        name.is_some_and(|name| self.members.iter().any(|member| member.name == name))
    }
}

const fn shape(members: &'static [Member]) -> Shape {
    Shape { members, text: None }
}

const fn optional(name: &'static str, holds: Type) -> Member {
    Member { name, holds, rule: Rule::Optional }
}

const fn needed(name: &'static str, holds: Type) -> Member {
    Member { name, holds, rule: Rule::Needed }
}

const fn required(name: &'static str, holds: Type, default: Default) -> Member {
    Member { name, holds, rule: Rule::Required(default) }
}

const fn list(name: &'static str, item: &'static Type) -> Member {
    required(name, Type::List(item), Default::Json("[]"))
}

/// `_meta` of a result. What the revisions keep for themselves in it has a form.
const fn result_meta() -> Member {
    optional("_meta", Type::Object(&META))
}

/// `_meta` of anything else.
const fn meta() -> Member {
    optional("_meta", Type::Object(&ANYTHING))
}

const fn icons() -> Member {
    optional("icons", Type::List(&ANY_ICON))
}

static ANY_ICON: Type = Type::Object(&ICON);

const fn annotations() -> Member {
    optional("annotations", Type::Object(&ANNOTATIONS))
}

/// The result of a method.
pub(super) struct Outcome {
    method: &'static str,
    pub(super) shape: Shape,
    /// The member that a result of another type stands for, if it can be that.
    pub(super) main: Option<&'static str>,
    /// The members of what is in the main one: a result with one of them is that itself.
    pub(super) inner: &'static [&'static str],
}

/// The results that are known, by method.
pub(super) fn outcome(method: &str) -> Option<&'static Outcome> {
    OUTCOMES.iter().find(|outcome| outcome.method == method)
}

static OUTCOMES: [Outcome; 12] = [
    Outcome {
        method: method::INITIALIZE,
        shape: shape(&[
            required("protocolVersion", Type::Revision, Default::Revision),
            required("capabilities", Type::Object(&CAPABILITIES), Default::Json(r#"{"tools":{}}"#)),
            required("serverInfo", Type::Object(&IMPLEMENTATION), Default::ServerInfo),
            optional("instructions", Type::Text),
            result_meta(),
        ]),
        main: None,
        inner: &[],
    },
    Outcome {
        method: method::TOOLS_LIST,
        shape: shape(&[list("tools", &Type::Object(&TOOL)), cursor(), result_meta()]),
        main: Some("tools"),
        inner: &[],
    },
    Outcome {
        method: method::RESOURCES_LIST,
        shape: shape(&[list("resources", &Type::Object(&RESOURCE)), cursor(), result_meta()]),
        main: Some("resources"),
        inner: &[],
    },
    Outcome {
        method: method::RESOURCE_TEMPLATES_LIST,
        shape: shape(&[
            list("resourceTemplates", &Type::Object(&TEMPLATE)),
            cursor(),
            result_meta(),
        ]),
        main: Some("resourceTemplates"),
        inner: &[],
    },
    Outcome {
        method: method::PROMPTS_LIST,
        shape: shape(&[list("prompts", &Type::Object(&PROMPT)), cursor(), result_meta()]),
        main: Some("prompts"),
        inner: &[],
    },
    Outcome {
        method: method::TOOLS_CALL,
        shape: shape(&[
            required("content", Type::Content, Default::Json("[]")),
            optional("structuredContent", Type::Structured),
            optional("isError", Type::Flag),
            result_meta(),
        ]),
        main: Some("content"),
        inner: &["type"],
    },
    Outcome {
        method: method::RESOURCES_READ,
        shape: shape(&[
            required("contents", Type::ContentsList, Default::Json("[]")),
            result_meta(),
        ]),
        main: Some("contents"),
        inner: &["text", "blob"],
    },
    Outcome {
        method: method::PROMPTS_GET,
        shape: shape(&[
            required("messages", Type::Messages, Default::Json("[]")),
            optional("description", Type::Text),
            result_meta(),
        ]),
        main: Some("messages"),
        inner: &["role", "content"],
    },
    Outcome {
        method: method::COMPLETE,
        shape: shape(&[
            required("completion", Type::Object(&COMPLETION), Default::Json(r#"{"values":[]}"#)),
            result_meta(),
        ]),
        main: Some("completion"),
        inner: &["values"],
    },
    empty(method::SET_LEVEL),
    empty(method::RESOURCES_SUBSCRIBE),
    empty(method::RESOURCES_UNSUBSCRIBE),
];

const fn empty(method: &'static str) -> Outcome {
    Outcome { method, shape: shape(&JUST_META), main: None, inner: &[] }
}

static JUST_META: [Member; 1] = [result_meta()];

/// An empty cursor, with which some clients would ask for ever, means that there is none.
const fn cursor() -> Member {
    optional("nextCursor", Type::Name)
}

static META: Shape = shape(&[
    optional("progressToken", Type::Token),
    optional(
        "io.modelcontextprotocol/related-task",
        Type::Object(&shape(&[needed("taskId", Type::Text)])),
    ),
]);

static IMPLEMENTATION: Shape = Shape {
    members: &[
        required("name", Type::Text, Default::ServerName),
        required("version", Type::Text, Default::Json(r#""unknown""#)),
        optional("title", Type::Text),
        optional("description", Type::Text),
        optional("websiteUrl", Type::Text),
        icons(),
    ],
    text: Some("name"),
};

static ICON: Shape = Shape {
    members: &[
        needed("src", Type::Name),
        optional("mimeType", Type::Text),
        optional("sizes", Type::Words),
        optional("theme", Type::OneOf(&["light", "dark"])),
    ],
    text: Some("src"),
};

pub(super) static CAPABILITIES: Shape = shape(&[
    optional("tools", Type::Feature(&CHANGES)),
    optional("resources", Type::Feature(&CHANGES)),
    optional("prompts", Type::Feature(&CHANGES)),
    optional("logging", Type::Feature(&ANYTHING)),
    optional("completions", Type::Feature(&ANYTHING)),
    optional("experimental", Type::Map(&Type::Feature(&ANYTHING))),
    optional("extensions", Type::Map(&Type::Feature(&ANYTHING))),
    optional("tasks", Type::Feature(&TASKS)),
]);

static CHANGES: Shape =
    shape(&[optional("listChanged", Type::Flag), optional("subscribe", Type::Flag)]);

static ANYTHING: Shape = shape(&[]);

static TASKS: Shape = shape(&[
    optional("list", Type::Feature(&ANYTHING)),
    optional("cancel", Type::Feature(&ANYTHING)),
    optional(
        "requests",
        Type::Feature(&shape(&[optional(
            "tools",
            Type::Feature(&shape(&[optional("call", Type::Feature(&ANYTHING))])),
        )])),
    ),
]);

static TOOL: Shape = Shape {
    members: &[
        needed("name", Type::Name),
        required(
            "inputSchema",
            Type::InputSchema,
            Default::Json(r#"{"type":"object","properties":{}}"#),
        ),
        optional("title", Type::Text),
        optional("description", Type::Text),
        optional("outputSchema", Type::OutputSchema),
        optional("annotations", Type::Object(&TOOL_ANNOTATIONS)),
        optional(
            "execution",
            Type::Object(&shape(&[optional(
                "taskSupport",
                Type::OneOf(&["forbidden", "optional", "required"]),
            )])),
        ),
        icons(),
        meta(),
    ],
    text: Some("name"),
};

static TOOL_ANNOTATIONS: Shape = shape(&[
    optional("title", Type::Text),
    optional("readOnlyHint", Type::Flag),
    optional("destructiveHint", Type::Flag),
    optional("idempotentHint", Type::Flag),
    optional("openWorldHint", Type::Flag),
]);

static ANNOTATIONS: Shape = shape(&[
    optional("audience", Type::List(&ROLE)),
    optional("priority", Type::Fraction),
    optional("lastModified", Type::Moment),
]);

pub(super) static ROLE: Type = Type::OneOf(&["user", "assistant"]);

static RESOURCE: Shape = Shape { members: &RESOURCE_MEMBERS, text: Some("uri") };

static RESOURCE_MEMBERS: [Member; 9] = [
    // The name comes first: where it is made of the URI, it is the service's own.
    required("name", Type::Text, Default::Member(&["title", "uri"])),
    needed("uri", Type::Uri),
    optional("title", Type::Text),
    optional("description", Type::Text),
    optional("mimeType", Type::Text),
    optional("size", Type::Count),
    annotations(),
    icons(),
    meta(),
];

static TEMPLATE: Shape = Shape {
    members: &[
        required("name", Type::Text, Default::Member(&["title", "uriTemplate"])),
        needed("uriTemplate", Type::UriTemplate),
        optional("title", Type::Text),
        optional("description", Type::Text),
        optional("mimeType", Type::Text),
        annotations(),
        icons(),
        meta(),
    ],
    text: Some("uriTemplate"),
};

static PROMPT: Shape = Shape {
    members: &[
        needed("name", Type::Name),
        optional("title", Type::Text),
        optional("description", Type::Text),
        optional("arguments", Type::List(&Type::Object(&ARGUMENT))),
        // Prompts have none in the schema, but services write them for all that they list.
        annotations(),
        icons(),
        meta(),
    ],
    text: Some("name"),
};

static ARGUMENT: Shape = Shape {
    members: &[
        needed("name", Type::Name),
        optional("title", Type::Text),
        optional("description", Type::Text),
        optional("required", Type::Flag),
    ],
    text: Some("name"),
};

static COMPLETION: Shape = Shape {
    members: &[
        required("values", Type::Values, Default::Json("[]")),
        optional("total", Type::Count),
        optional("hasMore", Type::Flag),
    ],
    text: Some("values"),
};

/// The items of `content` that are objects of a fixed shape, by their `type`.
pub(super) fn content_shape(kind: &str) -> Option<&'static Shape> {
    let known = CONTENT.iter().find(|(name, _)| *name == kind);
    known.map(|(_, shape)| shape)
}

pub(super) static CONTENT: [(&str, Shape); 5] = [
    ("text", shape(&[needed("text", Type::Text), annotations(), meta()])),
    ("image", MEDIA),
    ("audio", MEDIA),
    ("resource", shape(&[needed("resource", Type::Contents), annotations(), meta()])),
    ("resource_link", shape(&RESOURCE_MEMBERS)),
];

/// `mimeType` is needed too; `content` tells it from the bytes where it is missing.
const MEDIA: Shape =
    shape(&[needed("data", Type::Base64), needed("mimeType", Type::Name), annotations(), meta()]);

pub(super) static CONTENTS: Shape = shape(&[
    needed("uri", Type::Uri),
    optional("mimeType", Type::Text),
    optional("text", Type::Text),
    optional("blob", Type::Base64),
    meta(),
]);
