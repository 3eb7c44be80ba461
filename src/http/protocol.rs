//! Asks a port which protocol it speaks, when HTTP or TLS has met something else there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::failure::{Cause, Class, Failure};
use crate::hint::Hint;

/// Time for the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks once in the life of a process, and only as long as the upstream has answered nothing: after
/// that the protocol is right.
#[derive(Debug, Default)]
pub(super) struct Question(AtomicBool);

impl Question {
    /// The upstream has answered.
    pub(super) fn settle(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The failure if the port of `url` speaks the other one of HTTP and HTTPS.
    pub(super) async fn ask(&self, url: &Url, tls: &ClientConfig, shown: &str) -> Option<Failure> {
        if self.0.swap(true, Ordering::Relaxed) {
            return None;
        }
        let (what, hint) = match url.scheme() {
            "http" if said_to(url, &client_hello(url, tls)?, is_tls).await => (
                "this port speaks HTTPS",
                Hint::both("Use `https://` in the URL.", "Укажите в адресе `https://`."),
            ),
            "https" if said_to(url, b"OPTIONS * HTTP/1.0\r\n\r\n", is_plain_http).await => (
                "this port speaks plain HTTP",
                Hint::both("Use `http://` in the URL.", "Укажите в адресе `http://`."),
            ),
            _ => return None,
        };
        let what = format!("could not connect to {shown}: {what}");
        Some(Failure::new(Class::Final, Cause::Unreachable, what).hint(hint))
    }
}

/// The first byte of a handshake or an alert.
fn is_tls([first]: [u8; 1]) -> bool {
    matches!(first, 0x15 | 0x16)
}

/// The beginning of a status line. A port of HTTPS answers plain HTTP with a 400.
fn is_plain_http(beginning: [u8; 12]) -> bool {
    beginning.starts_with(b"HTTP/") && !beginning.ends_with(b" 400")
}

/// The bytes with which a TLS client begins.
fn client_hello(url: &Url, tls: &ClientConfig) -> Option<Vec<u8>> {
    let name = match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok()?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::V4(address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::V6(address)),
    };
    let mut connection = ClientConnection::new(Arc::new(tls.clone()), name).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

/// Whether what comes back for `said` begins as `is_wanted` says.
async fn said_to<const N: usize>(url: &Url, said: &[u8], is_wanted: fn([u8; N]) -> bool) -> bool {
    let asking = async {
        let port = url.port_or_known_default()?;
        let mut stream = match url.host()? {
            Host::Domain(name) => TcpStream::connect((name, port)).await,
            Host::Ipv4(address) => TcpStream::connect((address, port)).await,
            Host::Ipv6(address) => TcpStream::connect((address, port)).await,
        }
        .ok()?;
        stream.write_all(said).await.ok()?;
        let mut beginning = [0; N];
        stream.read_exact(&mut beginning).await.ok()?;
        Some(beginning)
    };
    let beginning = tokio::time::timeout(PATIENCE, asking).await.ok().flatten();
    beginning.is_some_and(is_wanted)
}
