//! Just enough HTTP/1.1 to read what a client sends and to answer it, well or badly.
//!
//! A server library is in the way here: most upstreams of these tests break the rules on purpose,
//! at a byte that the test names.

use std::io::{self, BufRead, Read};

use super::message::Message;

/// One request that the upstream has got, in full.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they stand in the request line.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection, or `None` at its end.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut parts = line.split_ascii_whitespace();
        let (Some(method), Some(path), Some("HTTP/1.1")) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed(&line));
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        let headers = read_headers(from)?;
        let mut request = Self { method, path, headers, body: Vec::new() };
        request.body = request.read_body(from)?;
        Ok(Some(request))
    }

    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC message in the body; fails the test when there is none.
    pub(crate) fn rpc(&self) -> Message {
        let text = str::from_utf8(&self.body).expect("the body is UTF-8");
        Message::parse(text).expect("the body is a JSON-RPC message")
    }

    /// What this request is about, in a word: the JSON-RPC method of a POST, `response` for the
    /// client's answer to a question of ours, else the HTTP method.
    pub(crate) fn name(&self) -> String {
        if self.method != "POST" {
            return self.method.clone();
        }
        let rpc = self.rpc();
        if rpc.is_reply() { "response".to_owned() } else { rpc.method().to_owned() }
    }

    fn read_body(&self, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length") {
            body.resize(length.parse().map_err(|_| malformed(length))?, 0);
            from.read_exact(&mut body)?;
        } else if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let mut line = String::new();
                from.read_line(&mut line)?;
                let length = u64::from_str_radix(line.trim(), 16).map_err(|_| malformed(&line))?;
                from.by_ref().take(length).read_to_end(&mut body)?;
                from.read_line(&mut line)?;
                if length == 0 {
                    break;
                }
            }
        }
        Ok(body)
    }
}

fn read_headers(from: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(malformed("the end in the head"));
        }
        if line.trim_end().is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A whole answer with its length told ahead.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// 200 with a JSON body.
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body("application/json", body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = head(self.status, &self.headers);
        bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// The head of an answer whose body comes in chunks.
    pub(crate) fn chunked_head(&self) -> Vec<u8> {
        let mut bytes = head(self.status, &self.headers);
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        bytes
    }
}

fn head(status: u16, headers: &[(String, String)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Told\r\n");
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.into_bytes()
}
