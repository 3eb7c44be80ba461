//! As much of DER as it takes to look into a certificate: X.690, definite lengths.

/// The tag of SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;

/// One value.
pub(super) struct Der<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// The value at the beginning of `bytes`, and what follows it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &bytes[..bytes.len() - after.len()];
        Some((Self { tag, content, whole }, after))
    }

    /// The values inside.
    pub(super) fn children(&self) -> impl Iterator<Item = Der<'a>> + use<'a> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let (child, after) = Der::read(rest)?;
            rest = after;
            Some(child)
        })
    }
}

/// What we read in a certificate (RFC 5280 section 4.1), of any version.
pub(super) struct Certificate<'a> {
    pub(super) not_before: Der<'a>,
    pub(super) not_after: Der<'a>,
    issuer: Der<'a>,
    subject: Der<'a>,
    pub(super) key: Der<'a>,
    has_alternative_names: bool,
}

impl<'a> Certificate<'a> {
    /// Reads it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        const VERSION: u8 = 0xa0;
        const EXTENSIONS: u8 = 0xa3;
        const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
        let (certificate, _) = Der::read(bytes)?;
        let signed = certificate.children().next()?;
        let mut parts = signed.children().filter(|part| part.tag != VERSION);
        // The serial number and the algorithm stand in front.
        let issuer = parts.nth(2)?;
        let mut validity = parts.next()?.children();
        let subject = parts.next()?;
        let key = parts.next()?;
        let extensions = parts.filter(|part| part.tag == EXTENSIONS);
        let mut extensions =
            extensions.flat_map(|part| part.children()).flat_map(|all| all.children());
        let has_alternative_names = extensions
            .any(|one| one.children().next().is_some_and(|id| id.content == SUBJECT_ALT_NAME));
        let (not_before, not_after) = (validity.next()?, validity.next()?);
        Some(Self { not_before, not_after, issuer, subject, key, has_alternative_names })
    }

    /// The common name, which counts as the host's where there are no alternative names.
    pub(super) fn common_name(&self) -> Option<&'a str> {
        if self.has_alternative_names {
            return None;
        }
        attribute(&self.subject, COMMON_NAME).and_then(|name| str::from_utf8(name.content).ok())
    }

    /// What a person calls the holder by.
    pub(super) fn subject_name(&self) -> Option<String> {
        plain_name(&self.subject)
    }

    /// What a person calls the issuer by.
    pub(super) fn issuer_name(&self) -> Option<String> {
        plain_name(&self.issuer)
    }
}

/// The numbers in a SEQUENCE of INTEGERs of which none is negative, without zeros in front.
pub(crate) fn numbers<'a>(bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let (sequence, _) = Der::read(bytes)?;
    let without_zeros = |one: Der<'a>| {
        let zeros = one.content.iter().take_while(|byte| **byte == 0).count();
        &one.content[zeros..]
    };
    Some(sequence.children().map(without_zeros).collect())
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The last attribute `wanted` of a distinguished name.
fn attribute<'a>(name: &Der<'a>, wanted: &[u8]) -> Option<Der<'a>> {
    let pairs = name.children().flat_map(|set| set.children());
    let named = pairs.filter_map(|pair| {
        let mut parts = pair.children();
        let (id, name) = (parts.next()?, parts.next()?);
        (id.content == wanted).then_some(name)
    });
    named.last()
}

/// The common name, else the organisation.
fn plain_name(name: &Der<'_>) -> Option<String> {
    const BMP_STRING: u8 = 0x1e;
    let found = attribute(name, COMMON_NAME).or_else(|| attribute(name, ORGANISATION))?;
    if found.tag != BMP_STRING {
        return Some(String::from_utf8_lossy(found.content).into_owned());
    }
    // Old authorities of Windows write UTF-16.
    let units = found.content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    Some(char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect())
}

/// Seconds since 1970 of a `UTCTime` or a `GeneralizedTime`.
pub(super) fn seconds(time: &Der<'_>) -> Option<i64> {
    const UTC_TIME: u8 = 0x17;
    let text = str::from_utf8(time.content).ok()?;
    // RFC 5280 section 4.1.2.5.1.
    let century = match (time.tag, text.as_bytes().first()?) {
        (UTC_TIME, b'0'..=b'4') => "20",
        (UTC_TIME, _) => "19",
        _ => "",
    };
    let digits = format!("{century}{text}");
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize| u8::try_from(number(from, from + 2)?).ok();
    let month = time::Month::try_from(small(4)?).ok()?;
    let date = time::Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
    let clock = time::Time::from_hms(small(8)?, small(10)?, small(12)?).ok()?;
    Some(time::PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp())
}
