//! A server behind TLS with a certificate that nobody trusts.

use std::fs;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

use super::http::{Reply, Request};

/// Answers requests for as long as the tests run, and gives its URL. `None` breaks the connection.
pub(crate) fn serve_tls(
    answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> String {
    TlsServer::with("cert.pem").serve(answer)
}

/// A server with one of the certificates in `tls/`, which were made for these tests and are used
/// nowhere else. One key belongs to all of them.
pub(crate) struct TlsServer {
    certificate: &'static str,
    version: Option<&'static SupportedProtocolVersion>,
    /// The authority of the clients.
    clients: Option<&'static str>,
}

impl TlsServer {
    pub(crate) fn with(certificate: &'static str) -> Self {
        Self { certificate, version: None, clients: None }
    }

    pub(crate) fn version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// Requires a certificate that this one has issued.
    pub(crate) fn wants_client(mut self, authority: &'static str) -> Self {
        self.clients = Some(authority);
        self
    }

    pub(crate) fn serve(
        self,
        answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (config, answer) = (Arc::new(self.config()), Arc::new(answer));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                // An error is a client that has gone, often because it does not trust us.
                thread::spawn(move || drop(converse(socket, config, answer.as_ref())));
            }
        });
        format!("https://{address}")
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).expect("a key");
        let key = provider.key_provider.load_private_key(key).expect("a key that is known");
        // Whatever the certificate is: the library would not serve one that it does not know.
        let chain = CertifiedKey::new(vec![certificate(self.certificate)], key);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = match self.version {
            Some(version) => builder.with_protocol_versions(&[version]),
            None => builder.with_safe_default_protocol_versions(),
        };
        let builder = builder.expect("the provider's versions");
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(authority)).expect("an authority");
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(chain)))
    }
}

fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tls");
    fs::read(folder.join(name)).expect("a file of these tests")
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&read(name)).expect("a certificate")
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
