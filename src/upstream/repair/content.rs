//! The contents of results: items of `content`, contents of resources, messages of prompts. What
//! has no form that MCP knows becomes a text, so that nothing of an answer is lost.

use super::fit::{Context, Fit, embedded, fit_items, object};
use super::scalar::{self, data_url};
use super::table::{CONTENT, CONTENTS, ROLE, content_shape};
use super::{fit, text_item};
use crate::jsonrpc::to_json;
use crate::upstream::json::{Object, compact, edit_items, items, string};

/// The URI of contents that have none, and were not asked for by one.
const NO_URI: &str = "mcpline:///content";

/// `content` of a result.
pub(super) fn content(value: &str, context: &Context<'_>) -> Fit {
    match value.as_bytes().first() {
        Some(b'[') => {
            edit_items(value, |value| item(value, context)).map_or(Fit::Fits, Fit::Becomes)
        }
        _ if is_nothing(value) => Fit::Unfit,
        _ => match embedded(value, '[').filter(|list| holds_content(list)) {
            Some(list) => content(&list, context).instead(list),
            None => {
                let item = item(value, context);
                Fit::Becomes(format!("[{}]", item.as_deref().unwrap_or(value)))
            }
        },
    }
}

/// Whether a value is what services write for nothing.
fn is_nothing(value: &str) -> bool {
    matches!(value, "null" | r#""""#) || Object::read(value).is_some_and(|object| object.is_empty())
}

/// Whether `list` holds items of `content` and nothing else.
pub(super) fn holds_content(list: &str) -> bool {
    let is_known = |item: &str| {
        let kind = Object::read(item).and_then(|item| item.string("type"));
        kind.is_some_and(|kind| content_shape(&kind).is_some())
    };
    items(list).is_some_and(|items| items.into_iter().all(is_known))
}

/// One item in a form that clients take; `None` where it is in one.
fn item(value: &str, context: &Context<'_>) -> Option<String> {
    let Some(mut item) = Object::read(value) else {
        warn(context, "none");
        return Some(as_text(value));
    };
    let given = item.string("type");
    let kind =
        given.as_deref().and_then(known_kind).or_else(|| guessed_kind(given.as_ref(), &item));
    let Some((kind, shape)) = kind.and_then(|kind| Some((kind, content_shape(kind)?))) else {
        warn(context, given.as_deref().unwrap_or("none"));
        return Some(unknown(value, &item));
    };
    if given.as_deref() != Some(kind) {
        item.set_string("type", kind);
    }
    match kind {
        "text" => text_of(&mut item),
        "image" | "audio" => media_type(&mut item, kind),
        "resource" => embed(&mut item),
        _ => {}
    }
    let is_changed = item.is_changed();
    let text = if is_changed { item.text() } else { String::new() };
    match object(if is_changed { &text } else { value }, shape, context) {
        Fit::Fits => is_changed.then_some(text),
        Fit::Becomes(text) => Some(text),
        Fit::Unfit => {
            warn(context, kind);
            Some(unknown(value, &item))
        }
    }
}

fn warn(context: &Context<'_>, kind: &str) {
    let what = match content_shape(kind) {
        Some(_) => "content that lacks what its type needs, which is",
        None => "content of the unknown type",
    };
    tracing::warn!("`{}` answers with {what} `{kind}`: passed on as text", context.subject());
}

fn known_kind(given: &str) -> Option<&'static str> {
    let small = given.trim().to_lowercase();
    CONTENT.iter().map(|(name, _)| *name).find(|name| *name == small)
}

/// The type of an item that does not state one, by its members.
fn guessed_kind(given: Option<&String>, item: &Object<'_>) -> Option<&'static str> {
    if given.is_some_and(|given| !given.is_empty()) {
        return None;
    }
    let media_type = item.string("mimeType").unwrap_or_default();
    let has_data = item.has("data");
    if item.string("text").is_some() && !item.has("uri") {
        Some("text")
    } else if has_data && media_type.starts_with("image/") {
        Some("image")
    } else if has_data && media_type.starts_with("audio/") {
        Some("audio")
    } else if item.get("resource").is_some_and(|resource| resource.starts_with('{')) {
        Some("resource")
    } else if item.has("uri") {
        Some(if item.has("text") || item.has("blob") { "resource" } else { "resource_link" })
    } else {
        None
    }
}

/// Makes sure that `text` is a string.
fn text_of(item: &mut Object<'_>) {
    let text = match item.get("text") {
        Some(text) if text.starts_with('"') => return,
        None | Some("null") => String::new(),
        Some(json) => compact(json),
    };
    item.set_string("text", &text);
}

/// How the Base64 of well-known formats begins.
const FORMATS: [(&str, &str); 13] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("Qk", "image/bmp"),
    ("SUkqA", "image/tiff"),
    ("TU0AK", "image/tiff"),
    ("PHN2Zy", "image/svg+xml"),
    ("PD94bWwg", "image/svg+xml"),
    ("SUQz", "audio/mpeg"),
    ("//", "audio/mpeg"),
    ("T2dnUw", "audio/ogg"),
    ("ZkxhQ", "audio/flac"),
    ("AAAA", "audio/mp4"),
];

/// Makes sure that an image or sound has a media type: that of its URL, of its first bytes, or the
/// most usual one.
fn media_type(item: &mut Object<'_>, kind: &str) {
    if item.get("mimeType").is_some_and(|media_type| scalar::name(media_type) == Fit::Fits) {
        return;
    }
    let Some(data) = item.get("data") else { return };
    let start: String = data.chars().skip(1).take(200).filter(|letter| *letter != '\\').collect();
    let in_url = data_url(&start).map(|(media_type, _)| media_type.to_owned());
    let guessed = in_url.filter(|media_type| !media_type.is_empty()).unwrap_or_else(|| {
        let of_kind = |media_type: &str| media_type.starts_with(kind);
        let known = FORMATS
            .iter()
            .find(|(begins, media_type)| start.starts_with(begins) && of_kind(media_type));
        // A RIFF file says only in its ninth byte what it is.
        match (known, kind) {
            (Some((_, media_type)), _) => (*media_type).to_owned(),
            (None, "audio") => "audio/wav".to_owned(),
            (None, _) if start.starts_with("UklGR") => "image/webp".to_owned(),
            (None, _) => "image/png".to_owned(),
        }
    });
    item.set_string("mimeType", &guessed);
}

/// Puts the members of a resource where they belong that stand beside `type`.
fn embed(item: &mut Object<'_>) {
    let is_flat = !item.has("resource") && (item.has("text") || item.has("blob"));
    if !is_flat {
        return;
    }
    let mut resource = Object::default();
    for name in ["uri", "mimeType", "text", "blob"] {
        if let Some(value) = item.get(name) {
            resource.set(name, value.to_owned());
            item.remove(name);
        }
    }
    item.set("resource", resource.text());
}

/// An item that is of no type of MCP, or lacks what its type needs: a link if it points somewhere, a
/// resource if it has data and a media type, else a text.
fn unknown(value: &str, item: &Object<'_>) -> String {
    if let Some(text) = item.string("text") {
        return text_item(&text);
    }
    let media_type = item.string("mimeType");
    let link = ["data", "url", "uri"].into_iter().find_map(|name| item.string(name));
    if let Some(link) =
        link.filter(|link| link.starts_with("http://") || link.starts_with("https://"))
    {
        let mut linked = Object::default();
        linked.set_string("type", "resource_link");
        linked.set_string("uri", &link);
        linked.set_string("name", &item.string("name").unwrap_or_else(|| link.clone()));
        if let Some(media_type) = media_type {
            linked.set_string("mimeType", &media_type);
        }
        return linked.text();
    }
    let data = item.get("blob").or_else(|| item.get("data")).filter(|data| data.len() > 2);
    let blob = data.and_then(|data| match scalar::base64(data) {
        Fit::Fits => Some(data.to_owned()),
        Fit::Becomes(data) => Some(data),
        Fit::Unfit => None,
    });
    match (blob, media_type) {
        (Some(blob), Some(media_type)) => format!(
            r#"{{"type":"resource","resource":{{"uri":"{NO_URI}","mimeType":{},"blob":{blob}}}}}"#,
            to_json(&media_type),
        ),
        _ => as_text(value),
    }
}

/// A text item that says what `value` says.
fn as_text(value: &str) -> String {
    text_item(&string(value).unwrap_or_else(|| compact(value)))
}

/// The contents of a resource: they need a URI, and text or bytes.
pub(super) fn contents(value: &str, context: &Context<'_>) -> Fit {
    let mut item = match (value.as_bytes().first(), Object::read(value)) {
        (_, Some(item)) => item,
        (Some(b'"'), None) => {
            let mut item = Object::default();
            item.set("text", value.to_owned());
            item
        }
        _ => return Fit::Unfit,
    };
    if item.get("uri").is_none_or(|uri| scalar::name(uri) == Fit::Unfit) {
        item.set_string("uri", context.uri().as_deref().unwrap_or(NO_URI));
        item.remove("type");
    }
    let blob = item.get("blob").map(scalar::base64);
    let has_text = item.get("text").is_some_and(|text| text.starts_with('"'));
    let has_blob = matches!(blob, Some(Fit::Fits | Fit::Becomes(_)));
    if !has_blob && let Some(text) = item.string("blob").filter(|_| !has_text) {
        item.set_string("text", &text);
    } else if has_blob && !has_text {
        item.remove("text");
    } else if !has_text {
        text_of(&mut item);
    }
    let is_changed = item.is_changed();
    let text = if is_changed { item.text() } else { String::new() };
    let fit = object(if is_changed { &text } else { value }, &CONTENTS, context);
    if is_changed { fit.instead(text) } else { fit }
}

/// `contents` of the result of `resources/read`.
pub(super) fn contents_list(value: &str, context: &Context<'_>) -> Fit {
    match value.as_bytes().first() {
        Some(b'[') => fit_items(value, |value| match value {
            "null" => Fit::Unfit,
            value => match contents(value, context) {
                Fit::Unfit => contents(&to_json(&compact(value)), context),
                fit => fit,
            },
        }),
        _ if is_nothing(value) => Fit::Unfit,
        _ => {
            let list = format!("[{value}]");
            contents_list(&list, context).instead(list)
        }
    }
}

/// `messages` of a prompt, each with one item of content and a role that MCP knows.
pub(super) fn messages(value: &str, context: &Context<'_>) -> Fit {
    let list = match value.as_bytes().first() {
        Some(b'[') => value,
        _ if is_nothing(value) => return Fit::Unfit,
        _ => {
            let list = embedded(value, '[').unwrap_or_else(|| format!("[{value}]"));
            return messages(&list, context).instead(list);
        }
    };
    let Some(items) = items(list) else { return Fit::Unfit };
    let repaired: Vec<_> = items.iter().map(|value| message(value, context)).collect();
    if repaired.iter().all(Option::is_none) {
        return Fit::Fits;
    }
    let pairs = items.iter().zip(&repaired);
    let all: Vec<_> = pairs
        .flat_map(|(value, repaired)| match repaired {
            Some(messages) => messages.iter().map(String::as_str).collect(),
            None => vec![*value],
        })
        .collect();
    Fit::Becomes(format!("[{}]", all.join(",")))
}

/// The messages that one becomes; `None` where it is in order. A message with several items of
/// content becomes several.
fn message(value: &str, context: &Context<'_>) -> Option<Vec<String>> {
    let Some(mut message) = Object::read(value) else {
        let is_nothing = matches!(value, "null" | r#""""#);
        let user = || format!(r#"{{"role":"user","content":{}}}"#, as_text(value));
        return Some(if is_nothing { Vec::new() } else { vec![user()] });
    };
    let role = message.string("role").unwrap_or_default();
    let is_known = match fit::fit(message.get("role").unwrap_or("null"), &ROLE, context) {
        Fit::Fits => true,
        Fit::Becomes(role) => {
            message.set("role", role);
            true
        }
        Fit::Unfit => {
            message.set_string("role", "user");
            false
        }
    };
    let said = message.get("content").unwrap_or("null");
    let parts: Vec<_> = match said.as_bytes().first() {
        Some(b'[') => items(said).unwrap_or_default(),
        _ => vec![said],
    };
    let parts: Vec<_> = parts
        .into_iter()
        .map(|value| match value {
            "null" => text_item(""),
            value => item(value, context).unwrap_or_else(|| value.to_owned()),
        })
        .map(|item| if is_known || role.is_empty() { item } else { said_by(&role, item) })
        .collect();
    if let [only] = parts.as_slice() {
        if only != said {
            message.set("content", only.clone());
        }
        return message.changed().map(|message| vec![message]);
    }
    let with = |item: String| {
        message.set("content", item);
        message.text()
    };
    Some(parts.into_iter().map(with).collect())
}

/// `item` with its speaker in front of its text, for a role that MCP does not know.
fn said_by(role: &str, item: String) -> String {
    let Some(mut object) = Object::read(&item) else { return item };
    let Some(text) = object.string("text") else { return item };
    object.set_string("text", &format!("[{role}] {text}"));
    object.text()
}
