//! What an upstream publishes of how to sign in: protected resource metadata (RFC 9728). [`Resource`] is
//! made by checking alone, so a holder of one need not check it.

use serde::Deserialize;
use url::Url;

use super::metadata::{at, lenient};
use super::problem::Problem;
use crate::hint::Hint;
use crate::jsonrpc::of_json;
use crate::redact;

/// The places of protected resource metadata for `upstream`, in the order of the specification.
pub(super) fn resource_places(upstream: &Url) -> Vec<Url> {
    const NAME: &str = "/.well-known/oauth-protected-resource";
    let path = upstream.path().trim_end_matches('/');
    let mut places = vec![format!("{NAME}{path}")];
    if !path.is_empty() {
        places.push(NAME.to_owned());
    }
    places.iter().map(|path| at(upstream, path)).collect()
}

/// Checked protected resource metadata.
#[derive(Debug)]
pub(super) struct Resource {
    /// The identifier, as it is written.
    pub(super) id: String,
    /// The issuers, in order.
    pub(super) issuers: Vec<String>,
    pub(super) scopes: Vec<String>,
}

#[derive(Deserialize)]
struct ResourceDocument {
    resource: String,
    #[serde(default, deserialize_with = "lenient")]
    authorization_servers: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    scopes_supported: Option<Vec<String>>,
}

impl Resource {
    /// The metadata in `body`, which `place` sent for `upstream`; `None` if there is none in it.
    ///
    /// # Errors
    /// It is that of another resource.
    pub(super) fn check(body: &[u8], place: &Url, upstream: &Url) -> Result<Option<Self>, Problem> {
        let Some(document) = of_json::<ResourceDocument>(body) else {
            return Ok(None);
        };
        let is_ours = Url::parse(&document.resource).is_ok_and(|id| covers(&id, upstream));
        if !is_ours {
            return Err(Problem::new(
                format!(
                    "{} describes another server, `{}`, so no token is asked for",
                    redact::shown(place),
                    redact::without_secrets(&document.resource)
                ),
                Hint::both(
                    "Put the address that the server calls itself by into the configuration, or tell \
                     its administrator that `resource` in this document is wrong.",
                    "Укажите в настройках адрес, которым сервер называет себя сам, или сообщите его \
                     администратору, что `resource` в этом документе неверен.",
                ),
            ));
        }
        Ok(Some(Self {
            id: document.resource,
            issuers: document.authorization_servers.unwrap_or_default(),
            scopes: document.scopes_supported.unwrap_or_default(),
        }))
    }
}

/// Whether `upstream` is the resource `id` or lies below it.
fn covers(id: &Url, upstream: &Url) -> bool {
    let path = id.path().trim_end_matches('/');
    let below = upstream.path().strip_prefix(path);
    id.origin() == upstream.origin()
        && id.host_str().is_some()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn metadata_is_looked_for_below_the_path_first() {
        let texts = |places: &[Url]| -> Vec<String> { places.iter().map(Url::to_string).collect() };
        assert_eq!(
            texts(&resource_places(&url("https://h/public/mcp?k=1"))),
            [
                "https://h/.well-known/oauth-protected-resource/public/mcp",
                "https://h/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            texts(&resource_places(&url("https://h/"))),
            ["https://h/.well-known/oauth-protected-resource"]
        );
    }

    #[test]
    fn a_resource_is_the_upstream_or_above_it() {
        let rows = [
            ("https://h/mcp", "https://h/mcp", true),
            ("https://h", "https://h/mcp", true),
            ("https://h/", "https://h/mcp", true),
            ("https://h/mcp/", "https://h/mcp", true),
            ("https://h/mcp", "https://h/mcp/deep", true),
            ("https://h/mcp", "https://h/mcpx", false),
            ("https://h/other", "https://h/mcp", false),
            ("http://h/mcp", "https://h/mcp", false),
            ("https://h:8443/mcp", "https://h/mcp", false),
            ("https://sub.h/mcp", "https://h/mcp", false),
            ("urn:mcp", "https://h/mcp", false),
        ];
        for (id, upstream, is_ours) in rows {
            let body = format!(r#"{{"resource":"{id}"}}"#);
            let checked = Resource::check(body.as_bytes(), &url("https://h/"), &url(upstream));
            assert_eq!(checked.is_ok(), is_ours, "{id} {upstream}");
        }
        for body in ["<html>", "{}", r#"{"status":"ok"}"#, "[]"] {
            let checked = Resource::check(body.as_bytes(), &url("https://h/"), &url("https://h/"));
            assert!(checked.unwrap().is_none(), "{body}");
        }
    }
}
