//! Turns the bytes of an error page into text.
//!
//! The tables are our own: three of 128 letters. `encoding_rs` has every charset of the web, which
//! costs a 25th of the whole binary for pages that only old Russian servers send.

/// The upper halves of the charsets that Russian servers use, by their names.
const CHARSETS: [(&[&str], &str); 3] = [
    (
        &["windows-1251", "cp1251", "win-1251", "cp-1251"],
        "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї\
         АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя",
    ),
    (
        &["koi8-r", "koi8-u", "koi8"],
        "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u{a0}⌡°²·÷═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©\
         юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ",
    ),
    (
        &["ibm866", "cp866", "866"],
        "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
         рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√№¤■\u{a0}",
    ),
];

/// The charset of text that is not UTF-8 and does not say what it is.
const WINDOWS_1251: &str = CHARSETS[0].1;

/// Decodes `body`: by its BOM, as UTF-8 when it is valid, by the charset of `content_type` or of
/// the page itself, else as windows-1251, the charset of old Russian Windows servers.
///
/// UTF-8 comes before what is declared because pages are mislabelled both ways, and text in
/// another charset is hardly ever valid UTF-8.
pub(crate) fn decode(body: &[u8], content_type: Option<&str>) -> String {
    match body {
        [0xef, 0xbb, 0xbf, text @ ..] => return String::from_utf8_lossy(text).into_owned(),
        [0xff, 0xfe, text @ ..] => return utf_16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => return utf_16(text, u16::from_be_bytes),
        _ => {}
    }
    if let Some(text) = valid_utf8(body) {
        return text.to_owned();
    }
    let declared = content_type.and_then(charset_parameter).or_else(|| {
        // `<meta charset=…>` and `<?xml encoding=…?>` stand in ASCII near the beginning.
        let start = String::from_utf8_lossy(&body[..body.len().min(1024)]);
        charset_parameter(&start)
    });
    let upper = match declared.as_deref() {
        Some("iso-8859-1" | "latin1" | "windows-1252") => {
            return body.iter().copied().map(char::from).collect();
        }
        Some(name) => {
            CHARSETS.iter().find(|(names, _)| names.contains(&name)).map(|(_, upper)| upper)
        }
        None => None,
    };
    let upper: Vec<char> = upper.unwrap_or(&WINDOWS_1251).chars().collect();
    let letter = |byte: &u8| match usize::from(*byte).checked_sub(0x80) {
        Some(at) => upper.get(at).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        None => char::from(*byte),
    };
    body.iter().map(letter).collect()
}

/// `text` in windows-1251; `None` when it has characters that the charset does not.
pub(crate) fn to_windows_1251(text: &str) -> Option<Vec<u8>> {
    let byte = |letter: char| match letter {
        '\0'..='\x7f' => u8::try_from(letter).ok(),
        _ => {
            let at = WINDOWS_1251.chars().position(|known| known == letter)?;
            u8::try_from(at + 0x80).ok()
        }
    };
    text.chars().map(byte).collect()
}

fn utf_16(text: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = text.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
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

/// The charset named after `charset=` or `encoding=`, in small letters.
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
    fn error_pages_are_decoded_whatever_they_claim() {
        let text = "Ошибка";
        let cp1251 = to_windows_1251(text).unwrap();
        let koi8 = encoding_rs::KOI8_R.encode(text).0;
        let cp866 = encoding_rs::IBM866.encode(text).0;
        let page = [b"<meta charset=\"koi8-r\">".as_slice(), &koi8].concat();
        let utf_16: Vec<_> = "\u{feff}Ошибка".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&[u8], Option<&str>, &str); 10] = [
            (text.as_bytes(), None, text),
            (text.as_bytes(), Some("text/html; charset=windows-1251"), text),
            ("\u{feff}Ошибка".as_bytes(), None, text),
            (&cp1251, Some("text/html; charset=Windows-1251"), text),
            (&cp1251, Some("text/html; charset=utf-8"), text),
            (&cp1251, None, text),
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
    fn the_tables_are_those_of_the_standards() {
        let upper: Vec<u8> = (0x80..=0xff).collect();
        for (names, table) in CHARSETS {
            let encoding = encoding_rs::Encoding::for_label(names[0].as_bytes()).unwrap();
            assert_eq!(table, encoding.decode_without_bom_handling(&upper).0, "{}", names[0]);
        }
        assert_eq!(to_windows_1251("Ё€ a").unwrap(), [0xa8, 0x88, b' ', b'a']);
        assert_eq!(to_windows_1251("数"), None);
    }
}
