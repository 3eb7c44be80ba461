//! A server behind TLS with a certificate that nobody trusts.

use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::{Reply, Request};

/// Made for these tests and used nowhere else; it signs itself.
const CERTIFICATE: &[u8] = include_bytes!("tls/cert.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

/// Answers requests for as long as the tests run, and gives its URL. `None` breaks the connection.
pub(crate) fn serve_tls(
    answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (config, answer) = (Arc::new(config()), Arc::new(answer));
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
            // An error is a client that has gone, often because it does not trust us.
            thread::spawn(move || drop(converse(socket, config, answer.as_ref())));
        }
    });
    format!("https://{address}")
}

fn config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider's versions");
    config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("they match")
}

fn converse(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    answer: &dyn Fn(&Request) -> Option<Reply>,
) -> io::Result<()> {
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, socket));
    while let Some(request) = Request::read(&mut stream)? {
        let Some(reply) = answer(&request) else { break };
        stream.get_mut().write_all(&reply.to_bytes())?;
        stream.get_mut().flush()?;
    }
    Ok(())
}
