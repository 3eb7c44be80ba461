//! Turns the bytes of an error page into text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1251};

/// Decodes `body`: by its BOM, as UTF-8 when it is valid, by the charset of `content_type` or of
/// the page itself, else as windows-1251, the charset of old Russian Windows servers.
///
/// UTF-8 comes before what is declared because pages are mislabelled both ways, and text in
/// another charset is hardly ever valid UTF-8.
pub(super) fn decode(body: &[u8], content_type: Option<&str>) -> String {
    if let Some((encoding, _)) = Encoding::for_bom(body) {
        return encoding.decode(body).0.into_owned();
    }
    if let Some(text) = valid_utf8(body) {
        return text.to_owned();
    }
    let declared = content_type.and_then(charset_parameter).or_else(|| {
        // `<meta charset=…>` and `<?xml encoding=…?>` stand in ASCII near the beginning.
        let start = String::from_utf8_lossy(&body[..body.len().min(1024)]).to_ascii_lowercase();
        charset_parameter(&start)
    });
    let encoding = declared.filter(|declared| *declared != UTF_8).unwrap_or(WINDOWS_1251);
    encoding.decode(body).0.into_owned()
}

/// `body` when it is UTF-8, perhaps cut in the middle of its last character.
fn valid_utf8(body: &[u8]) -> Option<&str> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// The encoding named after `charset=` or `encoding=`.
fn charset_parameter(text: &str) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let start = ["charset=", "encoding="]
        .iter()
        .find_map(|name| lower.find(name).map(|at| at + name.len()))?;
    let value = lower[start..].trim_start_matches(['"', '\'', ' ']);
    let end = value
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '-')
        .unwrap_or(value.len());
    Encoding::for_label(&value.as_bytes()[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_pages_are_decoded_whatever_they_claim() {
        let text = "Ошибка";
        let cp1251 = WINDOWS_1251.encode(text).0;
        let koi8 = encoding_rs::KOI8_R.encode(text).0;
        let page = [b"<meta charset=\"koi8-r\">".as_slice(), &koi8].concat();
        let cases: [(&[u8], Option<&str>, &str); 7] = [
            (text.as_bytes(), None, text),
            (text.as_bytes(), Some("text/html; charset=windows-1251"), text),
            ("\u{feff}Ошибка".as_bytes(), None, text),
            (&cp1251, Some("text/html; charset=Windows-1251"), text),
            (&cp1251, Some("text/html; charset=utf-8"), text),
            (&cp1251, None, text),
            (&page, Some("text/html"), "<meta charset=\"koi8-r\">Ошибка"),
        ];
        for (body, content_type, expected) in cases {
            assert_eq!(decode(body, content_type), expected, "{content_type:?}");
        }
        assert_eq!(decode(&text.as_bytes()[..5], None), "Ош");
    }
}
