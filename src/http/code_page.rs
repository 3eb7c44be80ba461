//! Single-byte charsets of Russian and western pages: their upper halves as text, and their names.
//! A library would bring the tables of all charsets of the web along, which are larger than TLS.

/// A charset whose lower half is ASCII.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CodePage {
    /// What it is called, in small letters.
    names: &'static [&'static str],
    /// The characters of the bytes from 0x80 on.
    upper: &'static str,
}

pub(super) static WINDOWS_1251: CodePage = CodePage {
    names: &["windows-1251", "cp1251", "x-cp1251", "win-1251"],
    upper: "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\
            \u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї\
            АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ\
            абвгдежзийклмнопрстуфхцчшщъыьэюя",
};

pub(super) static WINDOWS_1252: CodePage = CodePage {
    names: &[
        "windows-1252",
        "cp1252",
        "x-cp1252",
        "iso-8859-1",
        "iso8859-1",
        "latin1",
        "us-ascii",
        "ascii",
    ],
    upper: "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ\
            \u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿\
            ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß\
            àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
};

pub(super) static KOI8_R: CodePage = CodePage {
    names: &["koi8-r", "koi8", "koi", "koi8_r", "cskoi8r"],
    upper: "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u{a0}⌡°²·÷\
            ═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©\
            юабцдефгхийклмнопярстужвьызшэщчъ\
            ЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ",
};

pub(super) static KOI8_U: CodePage = CodePage {
    names: &["koi8-u", "koi8-ru"],
    upper: "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u{a0}⌡°²·÷\
            ═║╒ёє╔ії╗╘╙╚╛ґў╞╟╠╡ЁЄ╣ІЇ╦╧╨╩╪ҐЎ©\
            юабцдефгхийклмнопярстужвьызшэщчъ\
            ЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ",
};

pub(super) static IBM866: CodePage = CodePage {
    names: &["ibm866", "cp866", "866", "csibm866"],
    upper: "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ\
            абвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
            └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
            рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√№¤■\u{a0}",
};

pub(super) static ISO_8859_5: CodePage = CodePage {
    names: &["iso-8859-5", "iso8859-5", "iso_8859-5", "cyrillic"],
    upper: "\u{80}\u{81}\u{82}\u{83}\u{84}\u{85}\u{86}\u{87}\u{88}\u{89}\u{8a}\u{8b}\u{8c}\u{8d}\u{8e}\u{8f}\u{90}\u{91}\u{92}\u{93}\u{94}\u{95}\u{96}\u{97}\u{98}\u{99}\u{9a}\u{9b}\u{9c}\u{9d}\u{9e}\u{9f}\
            \u{a0}ЁЂЃЄЅІЇЈЉЊЋЌ\u{ad}ЎЏАБВГДЕЖЗИЙКЛМНОП\
            РСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмноп\
            рстуфхцчшщъыьэюя№ёђѓєѕіїјљњћќ§ўџ",
};

static ALL: [&CodePage; 6] = [&WINDOWS_1251, &WINDOWS_1252, &KOI8_R, &KOI8_U, &IBM866, &ISO_8859_5];

impl CodePage {
    /// The charset of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let is_named =
            |page: &&Self| page.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        ALL.into_iter().find(is_named)
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> String {
        let upper: Vec<char> = self.upper.chars().collect();
        let letter = |byte: &u8| match byte.checked_sub(0x80) {
            Some(at) => upper.get(usize::from(at)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
            None => char::from(*byte),
        };
        bytes.iter().map(letter).collect()
    }

    /// `text` in this charset; `None` when it has characters that the charset does not.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let byte_of = |letter: char| match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => Some(byte),
            _ => {
                let at = self.upper.chars().position(|known| known == letter)?;
                u8::try_from(at + 0x80).ok()
            }
        };
        text.chars().map(byte_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_charset_is_that_of_the_web() {
        let upper: Vec<u8> = (0x80..=0xff).collect();
        for page in ALL {
            let known = encoding_rs::Encoding::for_label(page.names[0].as_bytes()).unwrap();
            assert_eq!(
                page.decode(&upper),
                known.decode_without_bom_handling(&upper).0,
                "{page:?}"
            );
            assert_eq!(page.encode(&page.decode(&upper)), Some(upper.clone()));
        }
        assert_eq!(WINDOWS_1251.encode("数"), None);
    }
}
