//! The sample upstream behind `mcpline demo`: a small 1C service inside the process, so that a new
//! user can try a whole conversation without a server.
//!
//! `server` and `answer` are HTTP, `service` is MCP as 1C services speak it, `infobase` holds the
//! data, and `tools` works with them. The JSON files are what it begins with and what it lists.

mod answer;
mod infobase;
mod server;
mod service;
mod tools;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::service::Service;

/// A sample service that is running. Dropping it closes its port and every connection to it.
#[derive(Debug)]
pub(crate) struct Demo {
    url: String,
    serving: JoinHandle<()>,
}

impl Demo {
    /// What a user would configure, such as `http://127.0.0.1:40123/demo/hs/mcp/rpc`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Starts the sample service on a free port of the loopback interface.
///
/// It runs on the caller's runtime, so the caller's thread must not block. It starts with the same
/// data each time.
///
/// # Errors
/// No port can be opened.
pub(crate) async fn start() -> io::Result<Demo> {
    let service = Arc::new(Service::new()?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}{}", listener.local_addr()?, service::PATH);
    tracing::debug!(url, "the sample service is listening");
    let serving = tokio::spawn(server::serve(listener, service));
    Ok(Demo { url, serving })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

    async fn connect(demo: &Demo) -> TcpStream {
        let rest = demo.url().strip_prefix("http://").unwrap();
        TcpStream::connect(rest.split('/').next().unwrap()).await.unwrap()
    }

    fn request(method: &str, path: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    /// One exchange on a connection of its own; all that came back.
    async fn exchange(demo: &Demo, method: &str, path: &str, body: &str) -> String {
        let mut stream = connect(demo).await;
        let request = request(method, path, body);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn calls_notifications_and_unknown_pages_over_a_socket() {
        let demo = start().await.unwrap();
        let answer = exchange(&demo, "POST", service::PATH, PING).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: application/json; charset=utf-8\r\n"), "{answer}");
        let body = "\u{feff}{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": 7,\r\n\"result\": {}\r\n}";
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");

        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let answer = exchange(&demo, "POST", service::PATH, initialized).await;
        assert!(answer.starts_with("HTTP/1.1 204") && answer.ends_with("\r\n\r\n"), "{answer}");

        let answer = exchange(&demo, "GET", "/demo/hs/other/rpc", "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("</html>"), "{answer}");
        let answer = exchange(&demo, "DELETE", service::PATH, "").await;
        assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: POST"), "{answer}");
    }

    #[tokio::test]
    async fn an_oversized_body_is_refused_in_full() {
        let demo = start().await.unwrap();
        let body = " ".repeat(server::MAX_BODY + 1);
        let answer = exchange(&demo, "POST", service::PATH, &body).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_its_call() {
        let demo = start().await.unwrap();
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{
            "name":"sales_report","arguments":{"seconds":30}}}"#;
        let left = async {
            let mut stream = connect(&demo).await;
            stream.write_all(request("POST", service::PATH, call).as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await
        };
        let left = tokio::time::timeout(Duration::from_secs(5), left).await;
        assert!(matches!(left, Ok(Ok(0))), "{left:?}");
    }

    #[tokio::test]
    async fn dropping_it_closes_port_and_connections() {
        let demo = start().await.unwrap();
        let mut open = connect(&demo).await;
        open.write_all(b"POST /demo").await.unwrap();
        // A second exchange is over only when the first connection was accepted too.
        exchange(&demo, "GET", "/demo/hs/mcp/health", "").await;
        let address = open.peer_addr().unwrap();
        drop(demo);

        let closed = tokio::time::timeout(Duration::from_secs(5), open.read(&mut [0; 16])).await;
        assert!(!matches!(closed, Ok(Ok(1..)) | Err(_)), "{closed:?}");
        assert!(TcpStream::connect(address).await.is_err());
    }
}
