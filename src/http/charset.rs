//! Turns bytes into text: those of error pages, and those of files that people write.

//!
//! The tables of one-byte charsets are ours: libraries bring those of East Asia along, which are a
//! fortieth of the program.

mod tables;

use tables::{CHARSETS, Charset, WINDOWS_1251, WINDOWS_1252};

/// The order of the bytes of a unit of UTF-16.
type Units = fn([u8; 2]) -> u16;

/// Decodes `body`: by its BOM, as UTF-8 when it is valid or nearly so, by the charset of
/// `content_type` or of the page itself, else as windows-1251, the charset of old Russian Windows
/// servers, unless it looks like a western language.
///
/// UTF-8 comes before what is declared because pages are mislabelled both ways, and text in
/// another charset is hardly ever valid UTF-8. Nor is Latin-1 believed: web servers declare it for
/// whatever they serve.
pub(crate) fn decode(body: &[u8], content_type: Option<&str>) -> String {
    match marked(body) {
        Some((None, text)) => return String::from_utf8_lossy(text).into_owned(),
        Some((Some(units), text)) => return lossy_utf16(text, units),
        None => {}
    }
    if let Some(units) = unmarked_utf16(body) {
        return lossy_utf16(body, units);
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
    let charset = declared
        .and_then(|name| Charset::named(&name))
        .filter(|charset| charset.labels != WINDOWS_1252.labels)
        .unwrap_or(if looks_western(body) { &WINDOWS_1252 } else { &WINDOWS_1251 });
    charset.decode(body)
}

/// Decodes a text file: UTF-8, with a BOM where Windows editors write one, or UTF-16, which
/// PowerShell's `>` writes. `None` if it is neither.
pub(crate) fn decode_file(bytes: &[u8]) -> Option<String> {
    match marked(bytes) {
        None => String::from_utf8(bytes.to_vec()).ok(),
        Some((None, text)) => String::from_utf8(text.to_vec()).ok(),
        Some((Some(units), text)) => {
            let is_whole = text.len().is_multiple_of(2);
            char::decode_utf16(units_of(text, units))
                .collect::<Result<_, _>>()
                .ok()
                .filter(|_| is_whole)
        }
    }
}

/// The text of a file of certificates, which Notepad and PowerShell write in UTF-16, perhaps without a
/// byte order mark.
pub(super) fn decode_certificates(bytes: &[u8]) -> String {
    let (units, text) = marked(bytes).unwrap_or((unmarked_utf16(bytes), bytes));
    match units {
        Some(units) => lossy_utf16(text, units),
        None => String::from_utf8_lossy(text).into_owned(),
    }
}

/// `text` in windows-1251; `None` when it has characters that the charset does not.
pub(crate) fn to_windows_1251(text: &str) -> Option<Vec<u8>> {
    let byte_of = |letter: char| match u8::try_from(letter) {
        Ok(byte) if byte.is_ascii() => Some(byte),
        _ => {
            let place = WINDOWS_1251.upper.chars().position(|known| known == letter)?;
            u8::try_from(0x80 + place).ok()
        }
    };
    text.chars().map(byte_of).collect()
}

impl Charset {
    fn named(label: &str) -> Option<&'static Self> {
        let is_named = |charset: &&&Self| charset.labels.split(' ').any(|known| known == label);
        CHARSETS.iter().find(is_named).copied()
    }

    fn decode(&self, bytes: &[u8]) -> String {
        let upper: Vec<char> = self.upper.chars().collect();
        // The charsets of ISO 8859 have control characters before 0xa0.
        let first = 0x100 - upper.len();
        let decoded = |byte: &u8| {
            let place = usize::from(*byte).checked_sub(first);
            place.and_then(|place| upper.get(place)).copied().unwrap_or(char::from(*byte))
        };
        bytes.iter().map(decoded).collect()
    }
}

/// What the byte order mark of `bytes` says, and the text behind it: UTF-16 with this order of bytes, or
/// UTF-8. `None` without one.
fn marked(bytes: &[u8]) -> Option<(Option<Units>, &[u8])> {
    match bytes {
        [0xef, 0xbb, 0xbf, text @ ..] => Some((None, text)),
        [0xff, 0xfe, text @ ..] => Some((Some(u16::from_le_bytes), text)),
        [0xfe, 0xff, text @ ..] => Some((Some(u16::from_be_bytes), text)),
        _ => None,
    }
}

fn units_of(bytes: &[u8], units: Units) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(move |pair| units([pair[0], pair[1]]))
}

fn lossy_utf16(bytes: &[u8], units: Units) -> String {
    let text = char::decode_utf16(units_of(bytes, units));
    text.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
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

/// The order of bytes of a text in UTF-16 that begins with ASCII characters and has no byte order mark.
fn unmarked_utf16(body: &[u8]) -> Option<Units> {
    match *body {
        [first, 0, second, 0, ..] if first > 0 && second > 0 => Some(u16::from_le_bytes),
        [0, first, 0, second, ..] if first > 0 && second > 0 => Some(u16::from_be_bytes),
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
    use encoding_rs::Encoding;

    use super::*;

    #[test]
    fn the_tables_are_those_of_the_encoding_standard() {
        let bytes: Vec<u8> = (0..=0xff).collect();
        for charset in CHARSETS {
            let labels = charset.labels.split(' ');
            let known: Vec<_> =
                labels.filter_map(|label| Encoding::for_label(label.as_bytes())).collect();
            assert!(!known.is_empty(), "{}", charset.labels);
            for encoding in known {
                let expected = encoding.decode_without_bom_handling(&bytes).0;
                assert_eq!(charset.decode(&bytes), expected, "{}", charset.labels);
            }
        }
    }

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
        let cp1251 = encoding_rs::WINDOWS_1251.encode(text).0;
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
