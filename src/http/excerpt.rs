//! Cuts what an upstream said down to what a person can read in an error message.

use super::charset::decode;

/// Characters of the upstream's text that an error message may hold.
const MAX_CHARACTERS: usize = 300;

/// Bytes of a body that are looked at: a page says what matters near its beginning.
const MAX_LOOKED_AT: usize = 64 * 1024;

/// The gist of an error body: text without tags, on one line, shortened; empty when the body
/// says nothing.
pub(crate) fn excerpt(body: &[u8], content_type: Option<&str>) -> String {
    let text = decode(&body[..body.len().min(MAX_LOOKED_AT)], content_type);
    let start = text.trim_start();
    let is_markup = start.starts_with('<')
        || content_type.is_some_and(|content_type| content_type.contains("html"));
    let text = if is_markup { without_tags(start) } else { message_of(start) };
    shorten(&text)
}

/// The human-readable member of a JSON error body, else the text itself.
fn message_of(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        return text.to_owned();
    };
    let candidates = [
        "/error/message",
        "/error_description",
        "/detail/message",
        "/detail",
        "/message",
        "/error",
        "/title",
    ];
    candidates
        .iter()
        .filter_map(|path| value.pointer(path)?.as_str())
        .find(|said| !said.is_empty())
        .map_or_else(|| text.to_owned(), str::to_owned)
}

/// The text between the tags of a page, without scripts and styles.
pub(crate) fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        text.push(' ');
        rest = &rest[start..];
        let starts = |tag: &str| {
            rest.as_bytes()
                .get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
        };
        let end = if starts("<script") {
            end_of(rest, "</script>")
        } else if starts("<style") {
            end_of(rest, "</style>")
        } else if starts("<!--") {
            end_of(rest, "-->")
        } else {
            end_of(rest, ">")
        };
        rest = &rest[end..];
    }
    text.push_str(rest);
    let entities = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(text, |text, (entity, character)| text.replace(entity, character))
}

/// The offset behind the first `mark` in `text`, whatever its case; the text's end without one.
fn end_of(text: &str, mark: &str) -> usize {
    let found = text
        .as_bytes()
        .windows(mark.len())
        .position(|window| window.eq_ignore_ascii_case(mark.as_bytes()));
    found.map_or(text.len(), |at| at + mark.len())
}

/// `text` on one line, without control characters, of at most [`MAX_CHARACTERS`].
pub(crate) fn shorten(text: &str) -> String {
    let printable = text.replace(char::is_control, " ");
    let mut line = String::new();
    let mut left = MAX_CHARACTERS;
    for word in printable.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            left = left.saturating_sub(1);
        }
        line.extend(word.chars().take(left));
        let length = word.chars().count();
        if length > left {
            line.push('…');
            break;
        }
        left -= length;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_upstream_said_is_cut_down_to_a_line() {
        let cases = [
            ("", ""),
            ("  two\r\n lines \u{1b}[31m", "two lines [31m"),
            (r#"{"error":"no such base"}"#, "no such base"),
            (r#"{"jsonrpc":"2.0","error":{"code":1,"message":"bad"},"id":null}"#, "bad"),
            (r#"{"detail":{"message":"gone"}}"#, "gone"),
            (r#"{"x":1}"#, r#"{"x":1}"#),
            (r#"{"title":"Unauthorized","status":401,"detail":""}"#, "Unauthorized"),
            (
                "<html><head><title>502</title><style>p{}</style></head><BODY><SCRIPT>x<y</SCRIPT>\
                 <h1>Bad&nbsp;Gateway</h1><!-- a > b --><p>nginx &amp; co</p></BODY></html>",
                "502 Bad Gateway nginx & co",
            ),
            ("<p>unclosed <b", "unclosed"),
        ];
        for (body, expected) in cases {
            assert_eq!(excerpt(body.as_bytes(), None), expected);
        }
    }

    #[test]
    fn a_huge_page_takes_no_time() {
        let page = "<p>x</p><script>".repeat(1_000_000);
        assert_eq!(excerpt(page.as_bytes(), Some("text/html")), "x");
    }

    #[test]
    fn a_long_text_is_cut_by_characters() {
        let long = "щ".repeat(1000);
        assert_eq!(excerpt(long.as_bytes(), None), format!("{}…", "щ".repeat(300)));
    }
}
