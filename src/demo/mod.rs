//! The sample upstream behind `mcpline demo`: a small service inside the process, so that a new
//! user sees a whole conversation before there is any server to talk to, and tests have one that
//! behaves as the real ones do.
//!
//! `server` listens, reads bodies and writes answers, and knows nothing of any service. Each
//! sample service is a module of its own that turns a request into an answer and knows nothing of
//! sockets; `Service` is the list of them, `Sample` what a caller chooses from. `fastapi`, `records` and `shape` are what
//! those two have in common whose originals are written in Python. Nothing outside this
//! directory is used.

mod amocrm;
mod bitrix;
mod fastapi;
mod onec;
mod records;
mod server;
mod shape;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ::http::Request;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A sample service that is running. Dropping it closes its port and every connection to it.
#[derive(Debug)]
pub(crate) struct Demo {
    url: String,
    serving: JoinHandle<()>,
}

impl Demo {
    /// The URL that a user would configure, such as `http://127.0.0.1:40123/demo/hs/mcp/rpc`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Which service to have a sample of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// A 1C:Enterprise HTTP service.
    OneC,
    /// `b24-mcp`, for Bitrix24.
    Bitrix,
    /// `mcp-amocrm-server`, for amoCRM.
    Amocrm,
}

/// Starts a sample service on a free port of the loopback interface.
///
/// It answers on the runtime of the caller, whose thread must therefore not block, and it begins
/// with the same data each time.
///
/// # Errors
///
/// When no port can be opened.
pub(crate) async fn start(sample: Sample) -> io::Result<Demo> {
    let service = match sample {
        Sample::OneC => Service::OneC(onec::Service::new()?),
        Sample::Bitrix => Service::Bitrix(bitrix::Service::new()),
        Sample::Amocrm => Service::Amocrm(amocrm::Service::new()),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}{}", listener.local_addr()?, service.path());
    tracing::debug!(url, "the sample service is listening");
    let serving = tokio::spawn(server::serve(listener, Arc::new(service)));
    Ok(Demo { url, serving })
}

/// Every sample service there is. An enum and not a type parameter of the server, so that the
/// HTTP machinery is compiled once however many services there are.
enum Service {
    OneC(onec::Service),
    Bitrix(bitrix::Service),
    Amocrm(amocrm::Service),
}

impl Service {
    /// What the URL that a user would configure has after host and port.
    fn path(&self) -> &'static str {
        match self {
            Self::OneC(_) => onec::PATH,
            Self::Bitrix(_) | Self::Amocrm(_) => "",
        }
    }

    async fn answer(&self, request: &Request<Vec<u8>>) -> server::Answer {
        match self {
            Self::OneC(service) => service.answer(request).await,
            Self::Bitrix(service) => service.answer(request),
            Self::Amocrm(service) => service.answer(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    fn address(demo: &Demo) -> String {
        let rest = demo.url().strip_prefix("http://").unwrap();
        rest.split('/').next().unwrap().to_owned()
    }

    fn request(method: &str, path: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// One exchange on a connection of its own; the answer's head and body.
    async fn exchange(demo: &Demo, method: &str, path: &str, body: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(address(demo)).await.unwrap();
        let request = request(method, path, body);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        (head.to_lowercase(), answer[end + 4..].to_vec())
    }

    #[tokio::test]
    async fn a_call_over_a_socket() {
        let demo = start(Sample::OneC).await.unwrap();
        assert!(demo.url().starts_with("http://127.0.0.1:"));
        assert!(demo.url().ends_with("/demo/hs/mcp/rpc"));

        let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let (head, body) = exchange(&demo, "POST", "/demo/hs/mcp/rpc", ping).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/json; charset=utf-8"));
        assert_eq!(
            body,
            b"\xEF\xBB\xBF{\r\n\"jsonrpc\": \"2.0\",\r\n\"id\": 7,\r\n\"result\": {}\r\n}"
        );
    }

    #[tokio::test]
    async fn a_notification_and_an_unknown_page_over_a_socket() {
        let demo = start(Sample::OneC).await.unwrap();
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let (head, body) = exchange(&demo, "POST", "/demo/hs/mcp/rpc", initialized).await;
        assert!(head.starts_with("http/1.1 204"), "{head}");
        assert!(body.is_empty());

        let (head, body) = exchange(&demo, "GET", "/demo/hs/other/rpc", "").await;
        assert!(head.starts_with("http/1.1 404"), "{head}");
        assert!(body.windows(7).any(|w| w == b"</html>"));
    }

    #[tokio::test]
    async fn an_oversized_body_is_refused_in_full() {
        let demo = start(Sample::OneC).await.unwrap();
        let body = " ".repeat(server::MAX_BODY + 1);
        let (head, _) = exchange(&demo, "POST", "/demo/hs/mcp/rpc", &body).await;
        assert!(head.starts_with("http/1.1 413"), "{head}");
    }

    #[tokio::test]
    async fn requests_follow_one_another_on_a_connection() {
        let demo = start(Sample::OneC).await.unwrap();
        let mut stream = TcpStream::connect(address(&demo)).await.unwrap();
        let open = |method: &str, path: &str, more: &str, body: &str| {
            let length = body.len();
            format!("{method} {path} HTTP/1.1\r\n{more}Content-Length: {length}\r\n\r\n{body}")
        };
        // All at once, the last one with `Connection: close`.
        let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let path = "/demo/hs/mcp/rpc";
        let requests = open("POST", path, "Expect: 100-continue\r\n", ping)
            + &open("HEAD", path, "", "")
            + &open("POST", path, "", ping)
            + &request("GET", "/demo/hs/mcp/health", "");
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|head| &head[..3]).collect();
        assert_eq!(statuses, ["100", "200", "405", "200", "200"]);
        assert_eq!(answers.matches("\"id\": 7").count(), 2);
        assert!(!answers.contains("<html>"), "a HEAD has no body: {answers}");
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        let demo = start(Sample::OneC).await.unwrap();
        for head in [
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(address(&demo)).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{head}{answer}");
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_its_call() {
        let demo = start(Sample::OneC).await.unwrap();
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{
            "name":"sales_report","arguments":{"seconds":30}}}"#;
        let left = async {
            let mut stream = TcpStream::connect(address(&demo)).await.unwrap();
            let request = request("POST", "/demo/hs/mcp/rpc", call);
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await
        };
        let left = tokio::time::timeout(Duration::from_secs(5), left).await;
        assert!(matches!(left, Ok(Ok(0))), "{left:?}");
    }

    #[tokio::test]
    async fn dropping_it_closes_port_and_connections() {
        let demo = start(Sample::OneC).await.unwrap();
        let address = address(&demo);
        let mut open = TcpStream::connect(&address).await.unwrap();
        open.write_all(b"POST /demo").await.unwrap();
        // A second exchange is over only when the first connection was accepted too.
        exchange(&demo, "GET", "/demo/hs/mcp/health", "").await;
        drop(demo);

        let closed = tokio::time::timeout(Duration::from_secs(5), open.read(&mut [0; 16])).await;
        assert!(!matches!(closed, Ok(Ok(1..)) | Err(_)), "{closed:?}");
        assert!(TcpStream::connect(&address).await.is_err());
    }

    /// Reads a connection until what came has a part.
    async fn read_until(stream: &mut TcpStream, part: &str) -> String {
        let mut came = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&came).into_owned();
            if text.contains(part) {
                return text;
            }
            let read = tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut came));
            assert!(matches!(read.await, Ok(Ok(1..))), "no more after {text}");
        }
    }

    #[tokio::test]
    async fn the_bitrix_sample_over_sockets() {
        let demo = start(Sample::Bitrix).await.unwrap();
        let port = demo.url().strip_prefix("http://127.0.0.1:").unwrap();
        assert!(port.parse::<u16>().is_ok(), "{port}");

        let mut stream = TcpStream::connect(address(&demo)).await.unwrap();
        let listen = request("GET", "/mcp/sse", "");
        stream.write_all(listen.as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "event: endpoint\ndata: /mcp\n\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");

        let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let (head, body) = exchange(&demo, "POST", "/mcp", ping).await;
        assert!(head.contains("content-type: application/json"), "{head}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], -32601);
        let event = read_until(&mut stream, "\n\n").await;
        assert!(event.contains("\"id\": 7"), "{event}");
    }

    #[tokio::test]
    async fn a_session_of_the_amocrm_sample_over_sockets() {
        let demo = start(Sample::Amocrm).await.unwrap();
        let mut stream = TcpStream::connect(address(&demo)).await.unwrap();
        stream.write_all(request("GET", "/mcp/sse", "").as_bytes()).await.unwrap();
        // The line breaks of the head are others.
        let opened = read_until(&mut stream, "\n\n").await;
        let (_, path) = opened.split_once("data: ").unwrap();
        let path = path.split_whitespace().next().unwrap();

        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let (head, body) = exchange(&demo, "POST", path, ping).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(body, br#"{"id":1,"jsonrpc":"2.0","result":{}}"#);
        read_until(&mut stream, "event: message\ndata: {\"id\": 1").await;

        // The session ends with its stream; only the service knows when it has seen that.
        drop(stream);
        let gone = async {
            while !exchange(&demo, "POST", path, ping).await.0.starts_with("http/1.1 400") {}
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    }
}
