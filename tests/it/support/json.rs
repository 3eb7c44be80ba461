//! JSON text that is kept readable in files and sent as the servers that are emulated write it.

use serde_json::Value;

use super::http::Reply;

/// An answer with this status and body.
pub(crate) fn json_reply(status: u16, body: &Value) -> Reply {
    Reply::status(status).body("application/json", body.to_string())
}

/// Without blanks between the tokens, as Starlette writes bodies.
pub(crate) fn compact(text: &str) -> String {
    respace(text, "")
}

/// With a blank after each comma and colon, as Python's `json.dumps` writes.
pub(crate) fn spaced(text: &str) -> String {
    respace(text, " ")
}

fn respace(text: &str, after: &str) -> String {
    let mut respaced = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            respaced.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if !character.is_ascii_whitespace() {
            respaced.push(character);
            in_string = character == '"';
            if matches!(character, ',' | ':') {
                respaced += after;
            }
        }
    }
    respaced
}

#[test]
fn blanks_change_between_tokens_only() {
    let text = "{\n  \"a \\\" : ,\": [1,\t2.0 ],\n  \"\\\\\": { }\n}\n";
    assert_eq!(compact(text), r#"{"a \" : ,":[1,2.0],"\\":{}}"#);
    assert_eq!(spaced(text), r#"{"a \" : ,": [1, 2.0], "\\": {}}"#);
}
