//! Turns bytes into text: those of error pages, and those of files that people write.

use super::code_page::{CodePage, WINDOWS_1251, WINDOWS_1252};

/// Decodes `body`: by its BOM, as UTF-8 when it is valid or nearly so, by the charset of
/// `content_type` or of the page itself, else as windows-1251, the charset of old Russian Windows
/// servers, unless it looks like a western language.
///
/// UTF-8 comes before what is declared because pages are mislabelled both ways, and text in
/// another charset is hardly ever valid UTF-8. Nor is Latin-1 believed: web servers declare it for
/// whatever they serve.
pub(crate) fn decode(body: &[u8], content_type: Option<&str>) -> String {
    if let Some((charset, text)) = Unicode::marked(body) {
        return charset.decode(text);
    }
    if let Some(charset) = unmarked_utf16(body) {
        return charset.decode(body);
    }
    if let Some(text) = valid_utf8(body) {
        return text.to_owned();
    }
    if is_nearly_utf8(body) {
        return String::from_utf8_lossy(body).into_owned();
    }
    let declared = content_type.and_then(charset_parameter).or_else(|| {
        // `<meta charset=…>` and `<?xml encoding=…?>` stand in ASCII near the beginning.
        let start = String::from_utf8_lossy(&body[..body.len().min(1024)]);
        charset_parameter(&start)
    });
    let page =
        declared.and_then(|name| CodePage::named(&name)).filter(|page| **page != WINDOWS_1252);
    let guess = || if looks_western(body) { &WINDOWS_1252 } else { &WINDOWS_1251 };
    page.unwrap_or_else(guess).decode(body)
}

/// Decodes a text file: UTF-8, with a BOM where Windows editors write one, or UTF-16, which
/// PowerShell's `>` writes. `None` if it is neither.
pub(crate) fn decode_file(bytes: &[u8]) -> Option<String> {
    let (charset, text) = Unicode::marked(bytes).unwrap_or((Unicode::Utf8, bytes));
    charset.decode_strictly(text)
}

/// `text` in windows-1251; `None` when it has characters that the charset does not.
pub(crate) fn to_windows_1251(text: &str) -> Option<Vec<u8>> {
    WINDOWS_1251.encode(text)
}

/// A charset of Unicode, which a byte order mark or the text itself tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unicode {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

impl Unicode {
    pub(super) const UTF_16LE: Self = Self::Utf16(u16::from_le_bytes);
    pub(super) const UTF_16BE: Self = Self::Utf16(u16::from_be_bytes);

    /// What the byte order mark of `bytes` tells, and what stands behind it.
    pub(super) fn marked(bytes: &[u8]) -> Option<(Self, &[u8])> {
        match bytes {
            [0xef, 0xbb, 0xbf, rest @ ..] => Some((Self::Utf8, rest)),
            [0xff, 0xfe, rest @ ..] => Some((Self::UTF_16LE, rest)),
            [0xfe, 0xff, rest @ ..] => Some((Self::UTF_16BE, rest)),
            _ => None,
        }
    }

    /// The text, with replacements for what is malformed.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Utf16(unit) => {
                let (pairs, rest) = bytes.as_chunks();
                let text =
                    String::from_utf16_lossy(&pairs.iter().copied().map(unit).collect::<Vec<_>>());
                if rest.is_empty() { text } else { text + "\u{fffd}" }
            }
        }
    }

    /// The text; `None` when it is malformed.
    fn decode_strictly(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
            Self::Utf16(unit) => {
                let (pairs, rest) = bytes.as_chunks();
                let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
                String::from_utf16(&units).ok().filter(|_| rest.is_empty())
            }
        }
    }
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

/// The encoding of a text in UTF-16 that begins with ASCII characters and has no BOM.
fn unmarked_utf16(body: &[u8]) -> Option<Unicode> {
    match *body {
        [first, 0, second, 0, ..] if first > 0 && second > 0 => Some(Unicode::UTF_16LE),
        [0, first, 0, second, ..] if first > 0 && second > 0 => Some(Unicode::UTF_16BE),
        _ => None,
    }
}

/// Whether `body` is UTF-8 with a few broken characters, as where a text was cut by its bytes. Other
/// charsets hardly ever happen to be UTF-8.
fn is_nearly_utf8(body: &[u8]) -> bool {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in body.utf8_chunks() {
        whole += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    whole > broken
}

/// Whether most letters beyond ASCII stand alone beside ASCII letters, as in `café`. Cyrillic ones
/// stand together.
fn looks_western(body: &[u8]) -> bool {
    let (mut alone, mut together) = (0_usize, 0_usize);
    for (at, byte) in body.iter().enumerate().filter(|(_, byte)| !byte.is_ascii()) {
        let before = at.checked_sub(1).and_then(|before| body.get(before)).copied();
        let around = [before, body.get(at + 1).copied()];
        let beside = |is: fn(&u8) -> bool| around.iter().flatten().any(is);
        if beside(|byte| !byte.is_ascii()) || !byte.is_ascii() && *byte < 0xc0 {
            together += 1;
        } else if beside(u8::is_ascii_alphabetic) {
            alone += 1;
        }
    }
    alone > together
}

/// The charset named after `charset=` or `encoding=`, in lower case.
fn charset_parameter(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let start = ["charset=", "encoding="]
        .iter()
        .find_map(|name| lower.find(name).map(|at| at + name.len()))?;
    let value = lower[start..].trim_start_matches(['"', '\'', ' ']);
    let is_name = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let end = value.find(|character| !is_name(character)).unwrap_or(value.len());
    Some(value[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_text_in_the_charsets_of_editors() {
        let utf_16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}Ключ".encode_utf16().flat_map(bytes).collect()
        };
        let files: [Vec<u8>; 4] = [
            "Ключ".into(),
            "\u{feff}Ключ".into(),
            utf_16(u16::to_le_bytes),
            utf_16(u16::to_be_bytes),
        ];
        for file in files {
            assert_eq!(decode_file(&file).as_deref(), Some("Ключ"), "{file:?}");
        }
        assert_eq!(decode_file(b"\xca\xeb\xfe\xf7"), None);
        assert_eq!(decode_file(b"\xff\xfe\x00\xd8"), None);
    }

    #[test]
    fn error_pages_are_decoded_whatever_they_claim() {
        let text = "Ошибка";
        let cp1251 = WINDOWS_1251.encode(text).unwrap();
        let koi8 = encoding_rs::KOI8_R.encode(text).0;
        let cp866 = encoding_rs::IBM866.encode(text).0;
        let page = [b"<meta charset=\"koi8-r\">".as_slice(), &koi8].concat();
        let utf_16: Vec<_> = "\u{feff}Ошибка".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&[u8], Option<&str>, &str); 11] = [
            (text.as_bytes(), None, text),
            (text.as_bytes(), Some("text/html; charset=windows-1251"), text),
            ("\u{feff}Ошибка".as_bytes(), None, text),
            (&cp1251, Some("text/html; charset=Windows-1251"), text),
            (&cp1251, Some("text/html; charset=utf-8"), text),
            (&cp1251, None, text),
            (&cp1251, Some("text/html; charset=cp-1251"), text),
            (&page, Some("text/html"), "<meta charset=\"koi8-r\">Ошибка"),
            (&cp866, Some("text/plain; charset=\"IBM866\""), text),
            (&utf_16, None, text),
            (b"caf\xe9 x", Some("text/plain; charset=ISO-8859-1"), "café x"),
        ];
        for (body, content_type, expected) in cases {
            assert_eq!(decode(body, content_type), expected, "{content_type:?}");
        }
        assert_eq!(decode(&text.as_bytes()[..5], None), "Ош");
    }

    #[test]
    fn windows_1251_is_written_or_refused() {
        assert_eq!(to_windows_1251("Ё€ a").unwrap(), [0xa8, 0x88, b' ', b'a']);
        assert_eq!(to_windows_1251("数"), None);
    }
}
