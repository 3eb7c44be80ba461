//! Resources of b24-mcp. Their names have no scheme, which some clients refuse, and a query reads
//! them.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Serialize;

use crate::jsonrpc::to_json;
use crate::mcp::{Empty, Part, ReadResourceResult};
use crate::upstream::json::{Object, compact};

/// The scheme that we offer for names without one.
const SCHEME: &str = "bitrix24:///";

/// Characters that the path of a URI cannot hold.
const NOT_IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'%');

/// Gives `resource`, an item of a listing, a URI with a scheme.
pub(super) fn offer(resource: &mut Object<'_>) {
    if let Some(name) = resource.string("uri").filter(|uri| !uri.contains("://")) {
        let path = utf8_percent_encode(name.trim_start_matches('/'), NOT_IN_PATH);
        resource.set_string("uri", &format!("{SCHEME}{path}"));
    }
}

/// The server's name for `uri`: a URI that we offered, or the bare name.
pub(super) fn name(uri: &str) -> String {
    match uri.strip_prefix(SCHEME).or_else(|| uri.strip_prefix("bitrix24://")) {
        Some(path) => percent_decode_str(path).decode_utf8_lossy().into_owned(),
        None => uri.to_owned(),
    }
}

/// The params of `resources/query` for `uri`.
pub(super) fn query(uri: &str) -> String {
    #[derive(Serialize)]
    struct QueryParams {
        uri: String,
        arguments: Empty,
    }
    to_json(&QueryParams { uri: name(uri), arguments: Empty {} })
}

/// The result of `resources/read` from the result of the query.
pub(super) fn contents(uri: &str, result: &str) -> String {
    to_json(&ReadResourceResult::json(uri, Part::Ours(&compact(result))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (bare, offered) in [
            ("crm/deals", "bitrix24:///crm/deals"),
            ("мои дела", "bitrix24:///%D0%BC%D0%BE%D0%B8%20%D0%B4%D0%B5%D0%BB%D0%B0"),
        ] {
            let text = format!(r#"{{"uri":"{bare}"}}"#);
            let mut resource = Object::read(&text).unwrap();
            offer(&mut resource);
            assert_eq!(resource.string("uri").as_deref(), Some(offered));
            assert_eq!(name(offered), bare);
            assert_eq!(name(bare), bare);
        }
        let mut with_scheme = Object::read(r#"{"uri":"file:///x"}"#).unwrap();
        offer(&mut with_scheme);
        assert!(with_scheme.changed().is_none());
    }

    #[test]
    fn contents_hold_the_result_as_text() {
        assert_eq!(
            contents("u", "{ \"data\" : [null, 1.0] }"),
            r#"{"contents":[{"uri":"u","mimeType":"application/json","text":"{\"data\":[null,1.0]}"}]}"#
        );
    }
}
