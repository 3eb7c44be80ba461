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
            "http" if first_byte(url, &client_hello(url, tls)?).await.is_some_and(is_tls) => {
                ("this port speaks HTTPS", "Use `https://` in the URL.")
            }
            "https" if first_byte(url, b"OPTIONS * HTTP/1.0\r\n\r\n").await == Some(b'H') => {
                ("this port speaks plain HTTP", "Use `http://` in the URL.")
            }
            _ => return None,
        };
        let what = format!("could not connect to {shown}: {what}");
        Some(Failure::new(Class::Final, Cause::Unreachable, what).hint(hint))
    }
}

/// The first byte of a handshake or an alert.
fn is_tls(byte: u8) -> bool {
    matches!(byte, 0x15 | 0x16)
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

/// The first byte that comes back for `said`.
async fn first_byte(url: &Url, said: &[u8]) -> Option<u8> {
    let port = url.port_or_known_default()?;
    let asking = async {
        let mut stream = match url.host()? {
            Host::Domain(name) => TcpStream::connect((name, port)).await,
            Host::Ipv4(address) => TcpStream::connect((address, port)).await,
            Host::Ipv6(address) => TcpStream::connect((address, port)).await,
        }
        .ok()?;
        stream.write_all(said).await.ok()?;
        stream.read_u8().await.ok()
    };
    tokio::time::timeout(PATIENCE, asking).await.ok().flatten()
}
