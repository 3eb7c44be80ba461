//! The MCP server that both sides are measured against: hyper on HTTP/1.1, in a process of its own.
//!
//! It does as little as an MCP server can, so that the time of a call is the way and not the work.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{Buf, Bytes, buf::Chain};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::message::{LARGE, REVISION, large_text};

/// The MCP endpoint that gives out a session and insists on it.
pub(crate) const PATH_WITH_SESSION: &str = "/mcp";
/// The MCP endpoint that knows no sessions.
pub(crate) const PATH_WITHOUT_SESSION: &str = "/stateless";

/// The argument that makes this program the upstream.
pub(crate) const ROLE: &str = "upstream";

pub(crate) const SESSION_HEADER: &str = "mcp-session-id";
const SESSION: HeaderValue = HeaderValue::from_static("line-bench");

/// A running upstream; gone when dropped.
pub(crate) struct Upstream {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
}

impl Upstream {
    /// Starts this very program as the upstream, on the cores that this process may use.
    pub(crate) fn start(path: &'static str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the upstream has no stdout")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        let address = address.trim().parse()?;
        Ok(Self { child, address, path })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // It holds nothing to save, and it may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves until stdin ends, so that an upstream never outlives the program that started it.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", listener.local_addr()?)?;
        stdout.flush()?;

        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let rest = std::io::stdin().read_to_end(&mut Vec::new());
            drop(ended.send(rest));
        });
        tokio::select! {
            result = accept(listener) => result,
            _ = end => Ok(()),
        }
    })
}

async fn accept(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) {
    let served =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    // A client that is killed leaves a reset connection behind. Whatever else goes wrong here, the
    // client sees it as a failed call and reports it.
    drop(served);
}

/// A body in up to three pieces, so that the large text is shared and not copied for each answer.
type Body = Full<Chain<Chain<Bytes, Bytes>, Bytes>>;

fn body(head: Vec<u8>, text: &'static [u8], tail: &'static [u8]) -> Body {
    let pieces = Bytes::from(head).chain(Bytes::from_static(text)).chain(Bytes::from_static(tail));
    Full::new(pieces)
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body(Vec::new(), b"", b""));
    *response.status_mut() = status;
    response
}

async fn answer(request: Request<Incoming>) -> std::result::Result<Response<Body>, Infallible> {
    let sessions = match request.uri().path() {
        PATH_WITH_SESSION => true,
        PATH_WITHOUT_SESSION => false,
        _ => return Ok(status(StatusCode::NOT_FOUND)),
    };
    if request.method() == Method::DELETE {
        return Ok(status(StatusCode::NO_CONTENT));
    }
    if request.method() != Method::POST {
        // No stream of the server's own: 405 is how the specification says so to a GET.
        let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
        return Ok(response);
    }
    let in_session = request.headers().get(SESSION_HEADER).is_some_and(|id| *id == SESSION);
    let Ok(collected) = request.into_body().collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let bytes = collected.to_bytes();
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&bytes) else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let begins = message.method == Some("initialize");
    if sessions && !in_session && !begins {
        return Ok(status(StatusCode::BAD_REQUEST));
    }
    let (Some(id), Some(method)) = (message.id, message.method) else {
        return Ok(status(StatusCode::ACCEPTED));
    };

    let mut response = Response::new(reply(id, method, message.params).await);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if sessions && begins {
        response.headers_mut().insert(SESSION_HEADER, SESSION);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    arguments: Arguments<'a>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    delay_ms: Option<u64>,
    size: Option<usize>,
}

async fn reply(id: &RawValue, method: &str, params: Option<&RawValue>) -> Body {
    match method {
        "initialize" => result(
            id,
            &format!(
                r#"{{"protocolVersion":"{REVISION}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"line-bench","version":"1"}}}}"#
            ),
        ),
        "ping" => result(id, "{}"),
        "tools/list" => result(
            id,
            r#"{"tools":[{"name":"echo","description":"Says what it is told","inputSchema":{"type":"object","properties":{"message":{"type":"string"},"delay_ms":{"type":"integer"},"size":{"type":"integer"}},"required":["message"]}}]}"#,
        ),
        "tools/call" => {
            let Some(call) = params.and_then(|raw| serde_json::from_str(raw.get()).ok()) else {
                return error(id, -32602, "the echo tool takes a message");
            };
            call_tool(id, call).await
        }
        _ => error(id, -32601, "method not found"),
    }
}

async fn call_tool(id: &RawValue, CallParams { arguments }: CallParams<'_>) -> Body {
    if let Some(delay_ms) = arguments.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    match arguments.size {
        None => {
            let message = arguments.message.get();
            result(
                id,
                &format!(r#"{{"content":[{{"type":"text","text":{message}}}],"isError":false}}"#),
            )
        }
        Some(LARGE) => body(
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":""#
            )
            .into_bytes(),
            large_text(),
            br#""}],"isError":false}}"#,
        ),
        Some(_) => error(id, -32602, "there is one large size only"),
    }
}

fn result(id: &RawValue, result: &str) -> Body {
    whole(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

fn error(id: &RawValue, code: i32, message: &str) -> Body {
    whole(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#
    ))
}

fn whole(text: String) -> Body {
    body(text.into_bytes(), b"", b"")
}
