//! Certificates and keys in the forms that people have, and what is said when TLS fails.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use crate::support::{INITIALIZE, Line, Message, Reply, Request, TlsServer};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tls").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

/// What stands in a PEM file of one section.
fn der(name: &str) -> Vec<u8> {
    use base64::Engine;
    let text = String::from_utf8(bytes(name)).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

fn utf_16(name: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = String::from_utf8(bytes(name)).unwrap();
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(to_bytes).collect()
}

fn with_bom(name: &str) -> Vec<u8> {
    [b"\xef\xbb\xbf".to_vec(), bytes(name)].concat()
}

/// An MCP server that knows no method but the first.
#[expect(clippy::unnecessary_wraps, reason = "as the server wants it")]
fn answer(request: &Request) -> Option<Reply> {
    if request.method != "POST" {
        return Some(Reply::status(405));
    }
    let rpc = request.rpc();
    if !rpc.is_request() {
        return Some(Reply::status(202));
    }
    let result = crate::support::initialize_result("2025-11-25");
    Some(Reply::json(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, rpc.id())))
}

/// What becomes of `initialize` with these options.
fn initialized(url: &str, options: &[(&str, &PathBuf)]) -> Message {
    let mut setup = Line::to(url).args("--retry-for 1 --kind mcp");
    for (option, file) in options {
        setup = setup.arg(option).arg(file);
    }
    let mut line = setup.spawn();
    line.send(INITIALIZE);
    let reply = line.recv();
    drop(line.finish());
    reply
}

/// The line in which these options are refused.
fn refused(options: &[(&str, &PathBuf)]) -> String {
    let mut setup = Line::to("https://127.0.0.1:9/mcp");
    for (option, file) in options {
        setup = setup.arg(option).arg(file);
    }
    let ended = setup.spawn().wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

fn folder() -> (tempfile::TempDir, impl Fn(&[u8]) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given file");
    (folder, move |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        path.clone()
    })
}

#[test]
fn a_given_certificate_is_trusted_as_it_is_in_every_form() {
    let pem = bytes("cert.pem");
    let text = String::from_utf8(pem.clone()).unwrap();
    let lines = text.replace('\n', "\r\n");
    let bare: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let forms: [(&str, Vec<u8>); 12] = [
        ("PEM", pem.clone()),
        ("DER", der("cert.pem")),
        ("with a byte order mark", with_bom("cert.pem")),
        ("UTF-16LE", utf_16("cert.pem", u16::to_le_bytes)),
        ("UTF-16BE", utf_16("cert.pem", u16::to_be_bytes)),
        ("UTF-16LE without a mark", utf_16("cert.pem", u16::to_le_bytes)[2..].to_vec()),
        ("TRUSTED CERTIFICATE", bytes("trusted.pem")),
        ("PKCS#7", bytes("bundle.p7b")),
        ("PKCS#7 in DER", der("bundle.p7b")),
        ("after another and with a key", [bytes("other.pem"), bytes("key.pem"), pem].concat()),
        ("Base64 alone", bare.into_bytes()),
        ("with the lines of Windows", lines.into_bytes()),
    ];
    let server = TlsServer::with("cert.pem").serve(answer);
    let (_folder, file) = folder();
    for (form, bytes) in forms {
        let reply = initialized(&server, &[("--ca-file", &file(&bytes))]);
        assert!(reply.value.get("result").is_some(), "{form}: {reply}");
    }
}

/// What a company's own authority has issued, whose certificate is in the file.
#[test]
fn a_given_authority_is_trusted_for_what_it_has_issued() {
    let server = TlsServer::with("leaf.pem").serve(answer);
    let reply = initialized(&server, &[("--ca-file", &fixture("cert.pem"))]);
    assert!(reply.value.get("result").is_some(), "{reply}");
    let reply = initialized(&server, &[("--ca-file", &fixture("other.pem"))]);
    reply.failure(-33001);
    assert!(reply.error_text().contains("is not trusted"), "{reply}");
}

#[test]
fn a_given_certificate_counts_whatever_its_version_but_for_its_own_name_only() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = TlsServer::with("version1.pem").version(version).serve(answer);
        let reply = initialized(&server, &[("--ca-file", &fixture("version1.pem"))]);
        assert!(reply.value.get("result").is_some(), "{reply}");
    }
    let server = TlsServer::with("other.pem").serve(answer);
    let reply = initialized(&server, &[("--ca-file", &fixture("other.pem"))]);
    reply.failure(-33001);
    assert!(reply.error_text().contains("for another host name"), "{reply}");
}

#[test]
fn a_file_without_a_certificate_is_named_for_what_it_is() {
    let (_folder, file) = folder();
    for (bytes, words) in [
        (Vec::new(), "is empty"),
        (b"<html>login</html>".to_vec(), "holds no certificate"),
        (bytes("key.pem"), "holds a private key and no certificate"),
        (bytes("encrypted.pem"), "holds a private key and no certificate"),
        (bytes("request.pem"), "a request for a certificate"),
        (der("request.pem"), "a request for a certificate"),
        (bytes("both.p12"), "`openssl pkcs12 -in "),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_vec(), "--ca-file"),
    ] {
        let file = file(&bytes);
        let told = refused(&[("--ca-file", &file)]);
        assert!(told.contains(words), "{told}");
        assert!(told.contains(&format!("--ca-file {}", file.display())), "{told}");
        assert!(!told.contains("builder error"), "{told}");
    }
}

#[test]
fn a_client_certificate_is_presented_in_every_form() {
    let both = [bytes("key.pem"), bytes("client.pem")].concat();
    let server = TlsServer::with("cert.pem").wants_client("cert.pem").serve(answer);
    let (_first, certificate_file) = folder();
    let (_second, key_file) = folder();
    for (form, certificate, key) in [
        ("PEM", bytes("client.pem"), bytes("key.pem")),
        ("DER", der("client.pem"), der("key.pem")),
        ("with byte order marks", with_bom("client.pem"), with_bom("key.pem")),
        ("one file", both.clone(), both),
    ] {
        let (certificate, key) = (certificate_file(&certificate), key_file(&key));
        let options = [
            ("--ca-file", &fixture("cert.pem")),
            ("--client-cert", &certificate),
            ("--client-key", &key),
        ];
        let reply = initialized(&server, &options);
        assert!(reply.value.get("result").is_some(), "{form}: {reply}");
    }
    let both = certificate_file(&[bytes("client.pem"), bytes("key.pem")].concat());
    let options = [("--ca-file", &fixture("cert.pem")), ("--client-cert", &both)];
    let reply = initialized(&server, &options);
    assert!(reply.value.get("result").is_some(), "{reply}");
    let told = refused(&[("--client-cert", &fixture("client.pem"))]);
    assert!(told.contains("give the key with `--client-key FILE`"), "{told}");
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_what_converts_it() {
    let (_folder, file) = folder();
    for (bytes, words) in [
        (bytes("encrypted.pem"), "`openssl pkey -in "),
        (der("encrypted.pem"), "`openssl pkey -in "),
        (bytes("both.p12"), "-nocerts"),
        (bytes("cert.pem"), "holds a certificate and no private key"),
        (b"PuTTY-User-Key-File-3: ssh-rsa".to_vec(), "puttygen"),
        (Vec::new(), "is empty"),
    ] {
        let key = file(&bytes);
        let told = refused(&[("--client-cert", &fixture("cert.pem")), ("--client-key", &key)]);
        assert!(told.contains(words), "{told}");
        assert!(told.contains(&format!("--client-key {}", key.display())), "{told}");
    }
}

#[test]
fn a_required_client_certificate_is_named_and_nothing_can_have_run() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = TlsServer::with("cert.pem").version(version).wants_client("cert.pem");
        let server = server.serve(answer);
        let reply = initialized(&server, &[("--ca-file", &fixture("cert.pem"))]);
        let data = reply.failure(-33001);
        assert!(data["mayHaveRun"].is_null(), "{reply}");
        assert!(reply.error_text().contains("--client-cert"), "{reply}");
    }
}

#[test]
fn a_certificate_that_is_refused_is_refused_in_words() {
    // Windows and macOS have an opinion of their own on what is not given.
    let judged_here =
        |words| if cfg!(any(windows, target_vendor = "apple")) { "is not trusted" } else { words };
    for (certificate, trusted, words) in [
        ("cert.pem", None, judged_here("authority's certificate")),
        ("version1.pem", None, judged_here("version 1")),
        ("sha1.pem", Some("cert.pem"), "SHA-1"),
    ] {
        let server = TlsServer::with(certificate).serve(answer);
        let trusted = trusted.map(|name| ("--ca-file", fixture(name)));
        let options: Vec<_> = trusted.iter().map(|(option, file)| (*option, file)).collect();
        let reply = initialized(&server, &options);
        reply.failure(-33001);
        let text = reply.error_text();
        assert!(text.contains(words) && text.contains("--ca-file"), "{text}");
        assert!(!text.contains("Other(") && !text.contains('{'), "{text}");
    }
}

/// Takes connections and says these bytes to each.
fn says(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // The client's first words, so that no reset overtakes ours.
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(bytes);
        }
    });
    format!("https://{address}/mcp")
}

#[test]
fn a_server_with_another_protocol_is_told_in_words() {
    for (bytes, words) in [
        (&b"\x15\x03\x03\x00\x02\x02\x28"[..], "2012 R2"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "too old"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "no site of this name"),
        (b"\x15\x03\x03\x00\x02\x02\x74", "--client-cert"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "`http://`"),
    ] {
        let reply = initialized(&says(bytes), &[]);
        let data = reply.failure(-33001);
        assert_eq!(data["attempts"], 1, "{reply}");
        assert!(reply.error_text().contains(words), "{reply}");
    }
}
