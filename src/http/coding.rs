//! Reads packed bodies. `reqwest` knows the names of codings only in lower case, stops after the
//! first member of a gzip file, and takes `deflate` only as the standards have it.

use std::fmt;
use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// Bytes unpacked at a time: the most that they can become (a thousand times as much) is bearable.
const STEP: usize = 2048;

/// The first byte of each member of a gzip file.
const GZIP_MAGIC: u8 = 0x1f;

/// Unpacks one body.
pub(super) struct Unpacker {
    coding: Coding,
    /// None before the first byte.
    decoder: Option<Box<dyn Decode>>,
    /// What has come and is not unpacked yet.
    packed: Bytes,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unpacker").field("coding", &self.coding).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

/// What the decoders have in common. A write that takes nothing means that the end is reached.
trait Decode: Write + Send + Sync {
    /// What has been unpacked since the last time.
    fn take(&mut self) -> Vec<u8>;

    /// Checks the sums at the end.
    fn check(&mut self) -> io::Result<()>;
}

macro_rules! decode {
    ($($decoder:ident),*) => {$(
        impl Decode for $decoder<Vec<u8>> {
            fn take(&mut self) -> Vec<u8> {
                mem::take(self.get_mut())
            }

            fn check(&mut self) -> io::Result<()> {
                self.try_finish()
            }
        }
    )*};
}

decode!(GzDecoder, ZlibDecoder, DeflateDecoder);

impl Unpacker {
    /// For the coding that `headers` name; an error is the name of one that we cannot read.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, String> {
        if !headers.contains_key(CONTENT_ENCODING) {
            return Ok(None);
        }
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let named = values.join(", ");
        let codings = named.split(',').map(|name| name.trim().to_ascii_lowercase());
        let mut codings = codings.filter(|name| !name.is_empty() && name != "identity");
        let coding = match (codings.next().as_deref(), codings.next()) {
            (None, _) => return Ok(None),
            (Some("gzip" | "x-gzip"), None) => Coding::Gzip,
            (Some("deflate"), None) => Coding::Deflate,
            _ => return Err(named),
        };
        Ok(Some(Self { coding, decoder: None, packed: Bytes::new() }))
    }

    /// Takes what has come next.
    pub(super) fn push(&mut self, packed: Bytes) {
        self.packed = packed;
    }

    /// Unpacks a part of what has come; `None` if more must come first.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.packed.is_empty() {
            let step = self.packed.split_to(self.packed.len().min(STEP));
            let unpacked = self.unpack(&step)?;
            if !unpacked.is_empty() {
                return Ok(Some(unpacked.into()));
            }
        }
        Ok(None)
    }

    fn unpack(&mut self, mut step: &[u8]) -> io::Result<Vec<u8>> {
        let coding = self.coding;
        let mut unpacked = Vec::new();
        let decoder = self.decoder.get_or_insert_with(|| coding.decoder(step));
        while !step.is_empty() {
            let written = decoder.write(step)?;
            step = &step[written..];
            if written == 0 {
                // Another member of a gzip file; what else stands behind the end does not count.
                if coding != Coding::Gzip || step[0] != GZIP_MAGIC {
                    break;
                }
                decoder.check()?;
                unpacked.append(&mut decoder.take());
                *decoder = coding.decoder(step);
            }
        }
        decoder.flush()?;
        unpacked.append(&mut decoder.take());
        Ok(unpacked)
    }

    /// Hears that nothing more comes.
    ///
    /// # Errors
    /// The body ended too early (`UnexpectedEof`), or it is not what was packed.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        if !matches!(decoder.write(&[0]), Ok(0)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decoder.check()
    }
}

impl Coding {
    fn decoder(self, beginning: &[u8]) -> Box<dyn Decode> {
        // RFC 1950 section 2.2: the method is 8, and the first two bytes are a multiple of 31. Old
        // servers leave that frame out.
        let is_zlib = match beginning {
            [first, second, ..] => {
                first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
            }
            _ => beginning == [0x78],
        };
        match self {
            Self::Gzip => Box::new(GzDecoder::new(Vec::new())),
            Self::Deflate if is_zlib => Box::new(ZlibDecoder::new(Vec::new())),
            Self::Deflate => Box::new(DeflateDecoder::new(Vec::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use reqwest::header::HeaderValue;

    use super::*;

    const TEXT: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(coding: &'static str, packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        let mut unpacker = Unpacker::of(&headers).unwrap().unwrap();
        let mut all = Vec::new();
        for piece in packed.chunks(piece) {
            unpacker.push(Bytes::copy_from_slice(piece));
            while let Some(part) = unpacker.next()? {
                all.extend_from_slice(&part);
            }
        }
        unpacker.finish().map(|()| all)
    }

    #[test]
    fn codings_are_read_in_every_spelling_and_form() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        let members = [gzip(&TEXT[..20]), gzip(&TEXT[20..])].concat();
        let padded = [gzip(TEXT), vec![0; 20]].concat();
        let rows = [
            ("gzip", gzip(TEXT)),
            ("GZIP", gzip(TEXT)),
            ("X-GZip", gzip(TEXT)),
            ("identity, gzip", gzip(TEXT)),
            ("gzip", members),
            ("gzip", padded),
            ("Deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
        ];
        for (coding, packed) in rows {
            for piece in [packed.len(), 7, 2] {
                assert_eq!(unpacked(coding, &packed, piece).unwrap(), TEXT, "{coding}");
            }
            let half = unpacked(coding, &packed[..packed.len() / 3], 99).unwrap_err();
            assert_eq!(half.kind(), io::ErrorKind::UnexpectedEof, "{coding}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            Unpacker::of(&headers).map(|unpacker| unpacker.is_some())
        };
        assert_eq!(of("br"), Err("br".to_owned()));
        assert_eq!(of("gzip, br"), Err("gzip, br".to_owned()));
        assert_eq!((of(""), of("Identity")), (Ok(false), Ok(false)));
    }
}
