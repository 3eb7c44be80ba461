//! Waits on a loopback port for the browser to come back (RFC 8252 section 7.3).
//!
//! The code does not stay in the browser: the redirect is answered with another one, to an address
//! without a query, and the page that tells how it went is there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use url::{Host, Url};

use super::page::{Told, guarded, page};
use crate::loopback::{self, Answer, Answering};

/// Where the page is that tells how the sign-in went.
const DONE: &str = "/done";

/// Time for the head of a request. Browsers open connections ahead of what they need.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// How long a page waits to tell how the sign-in went.
const PAGE_PATIENCE: Duration = Duration::from_mins(1);

/// How many free ports are tried of which another program has one half.
const FREE_PORT_TRIES: u32 = 5;

/// The query of a redirect, and where to say whether it is ours.
pub(super) struct Arrival {
    pub(super) query: String,
    pub(super) is_ours: tokio::sync::oneshot::Sender<bool>,
}

/// A listening loopback port.
pub(super) struct Callback {
    listeners: Vec<TcpListener>,
    redirect: Url,
}

impl Callback {
    /// Listens at `redirect`, whose port may be missing or 0 for any that is free.
    ///
    /// # Errors
    /// The port is taken, or the host is none of this machine.
    pub(super) async fn bind(redirect: &Url) -> io::Result<Self> {
        let addresses: &[IpAddr] = match redirect.host() {
            Some(Host::Ipv4(address)) => &[IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => &[IpAddr::V6(address)],
            // A browser may take either.
            _ => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        };
        let given = redirect.port().unwrap_or(0);
        let mut tries = if given == 0 { FREE_PORT_TRIES } else { 1 };
        loop {
            tries -= 1;
            match listen(addresses, given).await {
                Err(why) if tries > 0 && why.kind() == io::ErrorKind::AddrInUse => {}
                Err(why) => return Err(why),
                Ok((listeners, port)) => {
                    let mut redirect = redirect.clone();
                    let _ = redirect.set_port(Some(port));
                    return Ok(Self { listeners, redirect });
                }
            }
        }
    }

    /// The redirect URI with its port.
    pub(super) fn redirect(&self) -> &Url {
        &self.redirect
    }

    /// Answers browsers until it is dropped: hands over what they come back with, and shows what is
    /// `told`. Notifies `shown` when a browser has got that.
    pub(super) async fn serve(
        self,
        arrivals: mpsc::Sender<Arrival>,
        told: watch::Receiver<Told>,
        shown: Arc<Notify>,
    ) {
        let Self { listeners, redirect } = self;
        let desk = Arc::new(Desk { redirect, arrivals, told, shown });
        let answering: Answering = Arc::new(move |request| {
            let desk = desk.clone();
            Box::pin(async move { desk.answer(&request).await })
        });
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(loopback::serve(listener, answering.clone(), Some(HEAD_PATIENCE)));
        }
        while accepting.join_next().await.is_some() {}
    }
}

/// Listens at one port of all `addresses` that this machine has.
async fn listen(addresses: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(*address, port)).await {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // Another program that has one of the two would get what is meant for us.
            Err(why) if listeners.is_empty() || is_taken(&why) => return Err(why),
            // There may be no IPv6.
            Err(_) => {}
        }
    }
    Ok((listeners, port))
}

fn is_taken(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// What every connection needs.
struct Desk {
    redirect: Url,
    arrivals: mpsc::Sender<Arrival>,
    told: watch::Receiver<Told>,
    shown: Arc<Notify>,
}

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let field = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let language = field(header::ACCEPT_LANGUAGE).unwrap_or_default();
        let foreign = |status| page(status, &Told::Foreign, language);
        // A page elsewhere whose name leads to this machine must not speak to us.
        if !field(header::HOST).is_some_and(|host| self.is_own_host(host)) {
            return foreign(StatusCode::MISDIRECTED_REQUEST);
        }
        if request.method() != Method::GET {
            return foreign(StatusCode::METHOD_NOT_ALLOWED);
        }
        let path = request.uri().path();
        let query = request.uri().query().filter(|query| !query.is_empty());
        match query {
            Some(query) if path == self.redirect.path() => {
                if self.is_ours(query).await {
                    return to_done();
                }
                foreign(StatusCode::BAD_REQUEST)
            }
            None if path == DONE => self.done(language).await,
            _ => foreign(StatusCode::NOT_FOUND),
        }
    }

    fn is_own_host(&self, host: &str) -> bool {
        let port = self.redirect.port_or_known_default().unwrap_or(0);
        let own = ["127.0.0.1", "localhost", "[::1]"];
        own.iter().any(|name| host.eq_ignore_ascii_case(&format!("{name}:{port}")))
    }

    async fn is_ours(&self, query: &str) -> bool {
        let (is_ours, said) = tokio::sync::oneshot::channel();
        let arrival = Arrival { query: query.to_owned(), is_ours };
        self.arrivals.send(arrival).await.is_ok() && said.await.unwrap_or(false)
    }

    /// The page that tells how it went, as soon as that is known.
    async fn done(&self, language: &str) -> Answer {
        let mut told = self.told.clone();
        let known = told.wait_for(|told| *told != Told::Waiting);
        let told = match tokio::time::timeout(PAGE_PATIENCE, known).await {
            Ok(Ok(told)) => {
                self.shown.notify_one();
                told.clone()
            }
            _ => Told::Waiting,
        };
        page(StatusCode::OK, &told, language)
    }
}

fn to_done() -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, header::HeaderValue::from_static(DONE));
    guarded(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_halves_of_localhost_are_ours_or_none() {
        // Where there is no IPv6 there is nothing to take.
        let Ok(other) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
        let port = other.local_addr().unwrap().port();
        let redirect = Url::parse(&format!("http://localhost:{port}/callback")).unwrap();
        assert!(Callback::bind(&redirect).await.is_err());
        let free = Url::parse("http://localhost/callback").unwrap();
        assert_eq!(Callback::bind(&free).await.unwrap().listeners.len(), 2);
    }
}
