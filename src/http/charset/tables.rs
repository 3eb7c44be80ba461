//! The charsets of one byte a character that pages and services are found in, by the Encoding Standard.

/// One charset.
pub(super) struct Charset {
    /// The names that it is declared by, in lower case, with spaces between them.
    pub(super) labels: &'static str,
    /// The characters of the bytes from 0x80, or from 0xa0 where those below are control characters.
    /// A byte without a character has U+FFFD.
    pub(super) upper: &'static str,
}

/// Of Russian Windows.
pub(super) static WINDOWS_1251: Charset = Charset {
    labels: "windows-1251 cp1251 cp-1251 win-1251 x-cp1251",
    upper: concat!(
        "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ",
        "\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї",
        "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
        "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    ),
};

/// Of western Windows; what declares Latin-1 or ASCII means it.
pub(super) static WINDOWS_1252: Charset = Charset {
    labels: "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 iso88591 latin1 l1 ascii us-ascii ansi_x3.4-1968 ibm819 cp819",
    upper: concat!(
        "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ",
        "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
        "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß",
        "àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
    ),
};

/// All of them.
pub(super) static CHARSETS: &[&Charset] = &[
    &WINDOWS_1251,
    &WINDOWS_1252,
    &Charset {
        labels: "koi8-r koi8 koi cskoi8r koi8_r",
        upper: concat!(
            "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u{a0}⌡°²·÷",
            "═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©",
            "юабцдефгхийклмнопярстужвьызшэщчъ",
            "ЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ",
        ),
    },
    &Charset {
        labels: "koi8-u koi8-ru",
        upper: concat!(
            "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥\u{a0}⌡°²·÷",
            "═║╒ёє╔ії╗╘╙╚╛ґў╞╟╠╡ЁЄ╣ІЇ╦╧╨╩╪ҐЎ©",
            "юабцдефгхийклмнопярстужвьызшэщчъ",
            "ЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ",
        ),
    },
    &Charset {
        labels: "ibm866 cp866 866 csibm866 cp-866 ibm-866",
        upper: concat!(
            "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
            "абвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
            "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
            "рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√№¤■\u{a0}",
        ),
    },
    &Charset {
        labels: "iso-8859-5 iso8859-5 iso_8859-5 iso88595 cyrillic csisolatincyrillic iso-ir-144",
        upper: concat!(
            "\u{a0}ЁЂЃЄЅІЇЈЉЊЋЌ\u{ad}ЎЏАБВГДЕЖЗИЙКЛМНОП",
            "РСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмноп",
            "рстуфхцчшщъыьэюя№ёђѓєѕіїјљњћќ§ўџ",
        ),
    },
    &Charset {
        labels: "x-mac-cyrillic x-mac-ukrainian",
        upper: concat!(
            "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
            "†°Ґ£§•¶І®©™Ђђ≠Ѓѓ∞±≤≥іµґЈЄєЇїЉљЊњ",
            "јЅ¬√ƒ≈∆«»…\u{a0}ЋћЌќѕ–—“”‘’÷„ЎўЏџ№Ёёя",
            "абвгдежзийклмнопрстуфхцчшщъыьэю€",
        ),
    },
    &Charset {
        labels: "iso-8859-15 iso8859-15 iso_8859-15 iso885915 latin-9 l9",
        upper: concat!(
            "\u{a0}¡¢£€¥Š§š©ª«¬\u{ad}®¯°±²³Žµ¶·ž¹º»ŒœŸ¿",
            "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß",
            "àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
        ),
    },
    &Charset {
        labels: "windows-1250 cp1250 x-cp1250",
        upper: concat!(
            "€\u{81}‚\u{83}„…†‡\u{88}‰Š‹ŚŤŽŹ\u{90}‘’“”•–—\u{98}™š›śťžź",
            "\u{a0}ˇ˘Ł¤Ą¦§¨©Ş«¬\u{ad}®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż",
            "ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß",
            "ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
        ),
    },
    &Charset {
        labels: "iso-8859-2 iso8859-2 iso_8859-2 iso88592 latin2 l2",
        upper: concat!(
            "\u{a0}Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u{ad}ŽŻ°ą˛ł´ľśˇ¸šşťź˝žż",
            "ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß",
            "ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
        ),
    },
    &Charset {
        labels: "windows-1253 cp1253 x-cp1253",
        upper: concat!(
            "€\u{81}‚ƒ„…†‡",
            "\u{88}‰\u{8a}‹\u{8c}\u{8d}\u{8e}\u{8f}",
            "\u{90}‘’“”•–—",
            "\u{98}™\u{9a}›\u{9c}\u{9d}\u{9e}\u{9f}",
            "\u{a0}΅Ά£¤¥¦§¨©\u{fffd}«¬\u{ad}®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ",
            "ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡ\u{fffd}ΣΤΥΦΧΨΩΪΫάέήί",
            "ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ\u{fffd}",
        ),
    },
    &Charset {
        labels: "iso-8859-7 iso8859-7 iso_8859-7 iso88597 greek",
        upper: concat!(
            "\u{a0}‘’£€₯¦§¨©ͺ«¬\u{ad}\u{fffd}―°±²³΄΅Ά·ΈΉΊ»Ό½ΎΏ",
            "ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡ\u{fffd}ΣΤΥΦΧΨΩΪΫάέήί",
            "ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ\u{fffd}",
        ),
    },
    &Charset {
        labels: "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 iso_8859-9 iso88599 latin5 l5",
        upper: concat!(
            "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}\u{8e}\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}\u{9e}Ÿ",
            "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
            "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞß",
            "àáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ",
        ),
    },
    &Charset {
        labels: "windows-1255 cp1255 x-cp1255",
        upper: concat!(
            "€\u{81}‚ƒ„…†‡",
            "ˆ‰\u{8a}‹\u{8c}\u{8d}\u{8e}\u{8f}",
            "\u{90}‘’“”•–—",
            "˜™\u{9a}›\u{9c}\u{9d}\u{9e}\u{9f}",
            "\u{a0}¡¢£₪¥¦§¨©×«¬\u{ad}®¯°±²³´µ¶·¸¹÷»¼½¾¿",
            "\u{5b0}\u{5b1}\u{5b2}\u{5b3}\u{5b4}\u{5b5}\u{5b6}\u{5b7}",
            "\u{5b8}\u{5b9}\u{5ba}\u{5bb}\u{5bc}\u{5bd}\u{5be}\u{5bf}",
            "\u{5c0}\u{5c1}\u{5c2}\u{5c3}\u{5f0}\u{5f1}\u{5f2}\u{5f3}",
            "\u{5f4}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            "\u{5d0}\u{5d1}\u{5d2}\u{5d3}\u{5d4}\u{5d5}\u{5d6}\u{5d7}",
            "\u{5d8}\u{5d9}\u{5da}\u{5db}\u{5dc}\u{5dd}\u{5de}\u{5df}",
            "\u{5e0}\u{5e1}\u{5e2}\u{5e3}\u{5e4}\u{5e5}\u{5e6}\u{5e7}",
            "\u{5e8}\u{5e9}\u{5ea}\u{fffd}\u{fffd}\u{200e}\u{200f}\u{fffd}",
        ),
    },
    &Charset {
        labels: "windows-1256 cp1256 x-cp1256",
        upper: concat!(
            "€\u{67e}‚ƒ„…†‡",
            "ˆ‰\u{679}‹Œ\u{686}\u{698}\u{688}",
            "\u{6af}‘’“”•–—",
            "\u{6a9}™\u{691}›œ\u{200c}\u{200d}\u{6ba}",
            "\u{a0}\u{60c}¢£¤¥¦§¨©\u{6be}«¬\u{ad}®¯°±²³´µ¶·¸¹\u{61b}»¼½¾\u{61f}",
            "\u{6c1}\u{621}\u{622}\u{623}\u{624}\u{625}\u{626}\u{627}",
            "\u{628}\u{629}\u{62a}\u{62b}\u{62c}\u{62d}\u{62e}\u{62f}",
            "\u{630}\u{631}\u{632}\u{633}\u{634}\u{635}\u{636}×",
            "\u{637}\u{638}\u{639}\u{63a}\u{640}\u{641}\u{642}\u{643}",
            "à\u{644}â\u{645}\u{646}\u{647}\u{648}ç",
            "èéêë\u{649}\u{64a}îï",
            "\u{64b}\u{64c}\u{64d}\u{64e}ô\u{64f}\u{650}÷",
            "\u{651}ù\u{652}ûü\u{200e}\u{200f}\u{6d2}",
        ),
    },
    &Charset {
        labels: "windows-1257 cp1257 x-cp1257",
        upper: concat!(
            "€\u{81}‚\u{83}„…†‡\u{88}‰\u{8a}‹\u{8c}¨ˇ¸\u{90}‘’“”•–—\u{98}™\u{9a}›\u{9c}¯˛\u{9f}",
            "\u{a0}\u{fffd}¢£¤\u{fffd}¦§Ø©Ŗ«¬\u{ad}®Æ°±²³´µ¶·ø¹ŗ»¼½¾æ",
            "ĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽß",
            "ąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙",
        ),
    },
    &Charset {
        labels: "windows-1258 cp1258 x-cp1258",
        upper: concat!(
            "€\u{81}‚ƒ„…†‡ˆ‰\u{8a}‹Œ\u{8d}\u{8e}\u{8f}\u{90}‘’“”•–—˜™\u{9a}›œ\u{9d}\u{9e}Ÿ",
            "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
            "ÀÁÂĂÄÅÆÇÈÉÊË\u{300}ÍÎÏĐÑ\u{309}ÓÔƠÖ×ØÙÚÛÜƯ\u{303}ß",
            "àáâăäåæçèéêë\u{301}íîïđñ\u{323}óôơö÷øùúûüư\u{20ab}ÿ",
        ),
    },
];
