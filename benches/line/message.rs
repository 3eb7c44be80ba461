//! The JSON-RPC messages of the load, and cheap checks of what comes back.
//!
//! Messages are written and checked as bytes: a JSON parser on the measuring side would be measured
//! along with what it measures.

use std::io::Write;
use std::sync::OnceLock;

use memchr::memmem;

use crate::Result;

/// The revision that most bridges know, so that peers can be measured too.
pub(crate) const REVISION: &str = "2025-06-18";

/// The size of the large result.
pub(crate) const LARGE: usize = 32 << 20;

pub(crate) const INITIALIZE_ID: u64 = 0;

pub(crate) fn initialize() -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","id":{INITIALIZE_ID},"method":"initialize","params":{{"protocolVersion":"{REVISION}","capabilities":{{}},"clientInfo":{{"name":"line-bench","version":"1"}}}}}}"#
    )
    .into_bytes()
}

pub(crate) fn initialized() -> &'static [u8] {
    br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
}

/// What one `tools/call` asks of the upstream.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// Answer at once with the message of the arguments.
    Echo,
    /// The same after so many milliseconds.
    Slow { delay_ms: u64 },
    /// Answer with a text of [`LARGE`] bytes.
    Large,
}

impl Call {
    /// Appends the request to `out`, without a line end.
    pub(crate) fn write(self, id: u64, out: &mut Vec<u8>) {
        let result = match self {
            Self::Echo => write!(
                out,
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"call-{id}"}}}}}}"#
            ),
            Self::Slow { delay_ms } => write!(
                out,
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"call-{id}","delay_ms":{delay_ms}}}}}}}"#
            ),
            Self::Large => write!(
                out,
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"","size":{LARGE}}}}}}}"#
            ),
        };
        debug_assert!(result.is_ok(), "writing to a vector cannot fail");
    }

    /// Says whether `answer` is the whole answer to this call with this id.
    pub(crate) fn check(self, id: u64, answer: &[u8]) -> Result<()> {
        if id_of(answer) != Some(id) {
            return Err(format!("call {id} got another id: {}", shorten(answer)).into());
        }
        let text = text_of(answer);
        let intact = match self {
            Self::Echo | Self::Slow { .. } => {
                text.and_then(|text| text.strip_prefix(b"call-")).and_then(number) == Some(id)
            }
            Self::Large => text.is_some_and(|text| {
                text.get(..LARGE) == Some(large_text()) && text.get(LARGE) == Some(&b'"')
            }),
        };
        if intact {
            Ok(())
        } else {
            Err(format!("call {id} came back altered: {}", shorten(answer)).into())
        }
    }
}

/// Says whether `answer` is a result of `initialize`.
pub(crate) fn check_initialize(answer: &[u8]) -> Result<()> {
    if id_of(answer) == Some(INITIALIZE_ID) && memmem::find(answer, b"\"serverInfo\"").is_some() {
        Ok(())
    } else {
        Err(format!("no answer to initialize: {}", shorten(answer)).into())
    }
}

/// The id of a message, if it has one that is a number.
///
/// Bridges that parse and rewrite messages may put the id last or a space after its colon.
pub(crate) fn id_of(message: &[u8]) -> Option<u64> {
    let at = memmem::find(message, b"\"id\":")? + b"\"id\":".len();
    number(message[at..].trim_ascii_start())
}

/// Everything after the opening quote of the result's text.
fn text_of(message: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(message, b"\"text\":")? + b"\"text\":".len();
    message[at..].trim_ascii_start().strip_prefix(b"\"")
}

/// The number that `bytes` begin with.
fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&bytes[..digits]).ok()?.parse().ok()
}

/// The large text as it stands between its quotes in JSON: lines of words that never repeat, so
/// that a lost, doubled or displaced piece shows, each ended by an escaped line feed as in the
/// files and listings that real tools return.
pub(crate) fn large_text() -> &'static [u8] {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    TEXT.get_or_init(|| {
        const LINE: usize = 80;
        let mut text = Vec::with_capacity(LARGE);
        let mut state: u32 = 1;
        while text.len() < LARGE {
            for _ in 0..LINE - 2 {
                // A linear congruential generator; its high bits are the random ones.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push(b"abcdefghijklmnopqrstuvwxyz 01234"[(state >> 27) as usize]);
            }
            text.extend_from_slice(b"\\n");
        }
        // A cut between a backslash and its letter would not be JSON any more.
        text.truncate(LARGE - 2);
        text.extend_from_slice(b"..");
        text
    })
}

/// The head of a message, for people.
fn shorten(message: &[u8]) -> String {
    let head = String::from_utf8_lossy(&message[..message.len().min(200)]).into_owned();
    if message.len() > 200 { format!("{head}… ({} bytes)", message.len()) } else { head }
}
