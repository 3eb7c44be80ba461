//! The yardstick: the same calls made by hyper over HTTP/1.1 connections that stay open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Result;
use crate::message::{self, Call, LARGE};
use crate::plan::{Limit, Throughput};
use crate::upstream::{SESSION_HEADER, Upstream};

/// Nothing here takes a minute, so whatever does hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client with its MCP session and a fixed number of connections.
pub(crate) struct Straight {
    runtime: Runtime,
    connections: Vec<Connection>,
    next_id: u64,
}

impl Straight {
    pub(crate) fn connect(upstream: &Upstream, connections: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connections = runtime.block_on(async {
            let mut opened = vec![Connection::open(upstream).await?];
            let session = opened[0].shake_hands().await?;
            opened[0].session.clone_from(&session);
            opened[0].send(message::initialized().to_vec()).await?;
            for _ in 1..connections {
                let mut connection = Connection::open(upstream).await?;
                connection.session.clone_from(&session);
                opened.push(connection);
            }
            Result::Ok(opened)
        })?;
        Ok(Self { runtime, connections, next_id: message::INITIALIZE_ID + 1 })
    }

    /// Makes one call after the other and returns what each took.
    pub(crate) fn sequential(&mut self, limit: Limit) -> Result<Vec<Duration>> {
        let connection = &mut self.connections[0];
        let next_id = &mut self.next_id;
        self.runtime.block_on(async {
            let mut taken = Vec::with_capacity(usize::try_from(limit.calls)?);
            let begin = Instant::now();
            let mut last = begin;
            for _ in 0..limit.calls {
                let id = *next_id;
                *next_id += 1;
                connection.call(Call::Echo, id).await?;
                let now = Instant::now();
                taken.push(now - last);
                last = now;
                if now - begin > limit.time {
                    break;
                }
            }
            Ok(taken)
        })
    }

    /// Keeps one call in flight on every connection.
    pub(crate) fn in_flight(&mut self, call: Call, limit: Limit) -> Result<Throughput> {
        let end_id = self.next_id + limit.calls;
        let next_id = Arc::new(AtomicU64::new(self.next_id));
        self.next_id = end_id;
        let connections = std::mem::take(&mut self.connections);

        let (connections, throughput) = self.runtime.block_on(async {
            let begin = Instant::now();
            let mut lanes = JoinSet::new();
            for mut connection in connections {
                let next_id = Arc::clone(&next_id);
                lanes.spawn(async move {
                    let mut calls: u64 = 0;
                    while begin.elapsed() < limit.time {
                        let id = next_id.fetch_add(1, Ordering::Relaxed);
                        if id >= end_id {
                            break;
                        }
                        connection.call(call, id).await?;
                        calls += 1;
                    }
                    Result::Ok((connection, calls))
                });
            }
            let mut connections = Vec::new();
            let mut calls = 0;
            while let Some(lane) = tokio::time::timeout(PATIENCE, lanes.join_next()).await? {
                let (connection, made) = lane??;
                connections.push(connection);
                calls += made;
            }
            Result::Ok((connections, Throughput { calls, time: begin.elapsed() }))
        })?;
        self.connections = connections;
        Ok(throughput)
    }

    /// Makes one call with the large result; the check of its text is not part of the time.
    pub(crate) fn large(&mut self) -> Result<Duration> {
        let connection = &mut self.connections[0];
        let id = self.next_id;
        self.next_id += 1;
        let mut answer = Vec::with_capacity(LARGE + 1024);
        let taken = self.runtime.block_on(async {
            let mut request = Vec::new();
            let begin = Instant::now();
            Call::Large.write(id, &mut request);
            let mut body = connection.send(request).await?.into_body();
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame?.into_data() {
                    answer.extend_from_slice(&data);
                }
            }
            Result::Ok(begin.elapsed())
        })?;
        Call::Large.check(id, &answer)?;
        Ok(taken)
    }
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    path: &'static str,
    session: Option<HeaderValue>,
}

impl Connection {
    async fn open(upstream: &Upstream) -> Result<Self> {
        let stream = TcpStream::connect(upstream.address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        // What ends the driver also fails the call that waits on it.
        drop(tokio::spawn(driver));
        Ok(Self {
            sender,
            host: HeaderValue::from_str(&upstream.address.to_string())?,
            path: upstream.path,
            session: None,
        })
    }

    async fn shake_hands(&mut self) -> Result<Option<HeaderValue>> {
        let response = self.send(message::initialize()).await?;
        let session = response.headers().get(SESSION_HEADER).cloned();
        message::check_initialize(&response.into_body().collect().await?.to_bytes())?;
        Ok(session)
    }

    async fn call(&mut self, call: Call, id: u64) -> Result<()> {
        let mut request = Vec::with_capacity(192);
        call.write(id, &mut request);
        let response = self.send(request).await?;
        call.check(id, &response.into_body().collect().await?.to_bytes())
    }

    /// Posts one message with the headers that the transport asks of a client.
    async fn send(&mut self, message: Vec<u8>) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header(HOST, &self.host)
            .header(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("mcp-protocol-version", HeaderValue::from_static(message::REVISION));
        if let Some(session) = &self.session {
            request = request.header(SESSION_HEADER, session);
        }
        let request = request.body(Full::new(Bytes::from(message)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        match response.status() {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(response),
            status => Err(format!("the upstream answered straight HTTP with {status}").into()),
        }
    }
}
