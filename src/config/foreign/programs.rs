//! Which options other programs have, and what each means here.

use self::Meaning::{
    Address, Always, Bearer, ByValue, ClientInfo, ClientMetadata, Flag, HeaderPair, Redirect, Same,
    Without,
};
use super::sign_in::Part;

/// What one of their options means here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meaning {
    /// The same as our option of this name; it takes a value.
    Same(&'static str),
    /// By its value: these options of ours.
    ByValue(&'static [(&'static str, &'static [&'static str])]),
    /// These options of ours.
    Flag(&'static [&'static str]),
    /// What it does is always done here; it takes so many values.
    Always(usize),
    /// A part of the redirect URI.
    Redirect(Part),
    /// A client that was registered by hand, as JSON.
    ClientInfo,
    /// What a client would register itself with, as JSON.
    ClientMetadata,
    /// The token of an `Authorization` header.
    Bearer,
    /// Name and value of a header, as two arguments.
    HeaderPair,
    /// The server's URL.
    Address,
    /// There is nothing like it here: how many values it takes, and why.
    Without(usize, Why),
}

/// Why an option of another program has no counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    SignIn,
    Tools,
    Upkeep,
    Other,
}

impl Why {
    /// Each of them, in the order in which they are told.
    pub(super) const ALL: [Self; 4] = [Self::SignIn, Self::Tools, Self::Upkeep, Self::Other];

    /// In words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::SignIn => {
                "for a sign-in that mcpline does not do this way; put a token into MCPLINE_BEARER"
            }
            Self::Tools => {
                "mcpline offers every tool of the server; switch tools off in the client"
            }
            Self::Upkeep => "mcpline opens a session or a connection again when it is lost",
            Self::Other => "mcpline has nothing like it",
        }
    }
}

/// Another program.
pub(super) struct Program {
    /// The name of its file or package.
    pub(super) name: &'static str,
    /// Its variables, and what they are called here.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// Its options.
    pub(super) options: &'static [(&'static [&'static str], Meaning)],
}

/// `mcp-remote` of npm.
pub(super) const MCP_REMOTE: Program = Program {
    name: "mcp-remote",
    variables: &[],
    options: &[
        (&["--header"], Same("header")),
        (&["--header-file"], Same("header-file")),
        (&["--connect-timeout"], Same("connect-timeout")),
        (&["--body-timeout"], Same("timeout")),
        (
            &["--transport"],
            ByValue(&[
                ("http-first", &[]),
                ("sse-first", &[]),
                ("http-only", &["--kind", "mcp"]),
                ("sse-only", &["--kind", "sse"]),
                // As people and other programs write it.
                ("http", &["--kind", "mcp"]),
                ("streamable-http", &["--kind", "mcp"]),
                ("streamablehttp", &["--kind", "mcp"]),
                ("sse", &["--kind", "sse"]),
            ]),
        ),
        (&["--protocol"], ByValue(&[("auto", &[]), ("legacy", &[])])),
        (&["--debug"], Flag(&["--log-level", "debug"])),
        (&["--silent"], Flag(&["--log-level", "off"])),
        (&["--allow-http", "--enable-proxy"], Always(0)),
        (&["--headers-timeout"], Without(1, Why::Other)),
        (&["--ipv4", "--disable-cookies"], Without(0, Why::Other)),
        (&["--keep-alive"], Without(0, Why::Upkeep)),
        (&["--ping-interval"], Without(1, Why::Upkeep)),
        (&["--ignore-tool"], Without(1, Why::Tools)),
        (&["--host"], Redirect(Part::Host)),
        (&["--callback-path"], Redirect(Part::Path)),
        // A person may take longer here.
        (&["--auth-timeout"], Always(1)),
        (&["--static-oauth-client-info"], ClientInfo),
        (&["--static-oauth-client-metadata"], ClientMetadata),
        (&["--client-metadata-url"], Same("oauth-client-id")),
        (&["--authorize-param"], Same("oauth-param")),
        (&["--resource"], Same("oauth-resource")),
        (&["--disable-resource-parameter"], Flag(&["--oauth-resource", "none"])),
        (&["--device-code"], Flag(&["--oauth-grant", "device"])),
        (&["--client-credentials"], Flag(&["--oauth-grant", "client-credentials"])),
        (&["--auth-success-url", "--token-endpoint"], Without(1, Why::SignIn)),
        (&["--use-id-token"], Without(0, Why::SignIn)),
    ],
};

/// `supergateway` of npm, as it forwards to HTTP.
const SUPERGATEWAY: Program = Program {
    name: "supergateway",
    variables: &[],
    options: &[
        (&["--streamableHttp"], Address),
        (&["--sse"], Address),
        (&["--header"], Same("header")),
        (&["--oauth2Bearer"], Bearer),
        (
            &["--logLevel"],
            ByValue(&[
                ("none", &["--log-level", "off"]),
                ("info", &[]),
                ("debug", &["--log-level", "debug"]),
            ]),
        ),
        (&["--outputTransport"], ByValue(&[("stdio", &[])])),
        (&["--port", "--baseUrl", "--ssePath", "--messagePath"], Without(1, Why::Other)),
        (&["--streamableHttpPath", "--healthEndpoint"], Without(1, Why::Other)),
        (&["--sessionTimeout", "--protocolVersion"], Without(1, Why::Other)),
        (&["--cors", "--stateful"], Without(0, Why::Other)),
    ],
};

/// `mcp-proxy` of `PyPI`, as it forwards to HTTP.
const MCP_PROXY: Program = Program {
    name: "mcp-proxy",
    variables: &[("API_ACCESS_TOKEN", "MCPLINE_BEARER")],
    options: &[
        (&["-H", "--headers"], HeaderPair),
        (
            &["--transport"],
            ByValue(&[("sse", &["--kind", "sse"]), ("streamablehttp", &["--kind", "mcp"])]),
        ),
        (&["--no-verify-ssl"], Flag(&["--insecure"])),
        (&["--debug"], Flag(&["--log-level", "debug"])),
        (&["--log-level"], Without(1, Why::Other)),
        (
            &["--verify-ssl", "--digest", "--pass-environment", "--stateless"],
            Without(0, Why::Other),
        ),
        (&["--client-id", "--client-secret", "--token-url"], Without(1, Why::SignIn)),
        (&["--username", "--password"], Without(1, Why::SignIn)),
        (&["--cwd", "--port", "--host", "--sse-port", "--sse-host"], Without(1, Why::Other)),
    ],
};

/// Every one of them.
pub(super) const PROGRAMS: [&Program; 3] = [&MCP_REMOTE, &SUPERGATEWAY, &MCP_PROXY];
