//! The person's browser, as far as a sign-in needs one.

use std::io::{Read, Write};
use std::net::TcpStream;

use url::Url;

/// What a browser gets.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn location(&self) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim())
        })
    }
}

/// Gets `url` as a browser does, without following redirects; `more` are further header lines.
pub(crate) fn get(url: &str, more: &str) -> Got {
    let url = Url::parse(url).unwrap();
    let authority = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut socket = TcpStream::connect(&authority).expect("somebody listens");
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host =
        if more.contains("Host:") { String::new() } else { format!("Host: {authority}\r\n") };
    let request = format!("GET {target} HTTP/1.1\r\n{host}Connection: close\r\n{more}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    // The end of the head, and of a body whose length is told: not every server closes.
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Got { status, head: head.to_owned(), body: body.to_owned() };
            }
        }
        let read = socket.read(&mut chunk).unwrap();
        assert!(read > 0, "the answer breaks off: {text}");
        answer.extend_from_slice(&chunk[..read]);
    }
}

/// Signs in at `url` as a person with a browser does; gives the last page.
pub(crate) fn sign_in(url: &str) -> Got {
    let mut url = Url::parse(url).unwrap();
    for _ in 0..5 {
        let got = get(url.as_str(), "Accept-Language: en\r\n");
        match got.location() {
            Some(location) => url = url.join(location).unwrap(),
            None => return got,
        }
    }
    panic!("redirects without end");
}

/// The address to sign in at in `text`.
pub(crate) fn address_in(text: &str) -> String {
    let at = text.find("/authorize?").unwrap_or_else(|| panic!("no address in {text}"));
    let start = text[..at].rfind("http").unwrap();
    let end = text[start..].find(char::is_whitespace).map_or(text.len(), |end| start + end);
    text[start..end].to_owned()
}
