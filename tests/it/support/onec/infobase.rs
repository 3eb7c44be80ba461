//! What stands before the service: web server, users, sessions of the platform, load balancer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::Encoding;
use percent_encoding::percent_decode_str;

use super::service::OnecService;
use super::{Generation, Reuse, pages};
use crate::support::board::Board;
use crate::support::exchange::{Answered, Exchange};
use crate::support::http::{Reply, Request};
use crate::support::upstream::{Life, Service};

pub(super) struct Infobase {
    pub(super) base: String,
    pub(super) root: String,
    pub(super) credentials: Credentials,
    pub(super) reuse: Reuse,
    pub(super) sticky: Option<String>,
    pub(super) slow_to_finish: bool,
    pub(super) has_health: bool,
    pub(super) service: OnecService,
    pub(super) state: Board<State>,
}

pub(super) enum Credentials {
    None,
    /// The text between `Basic ` and the end, decoded.
    Basic(Vec<u8>),
    Bearer(String),
}

impl Credentials {
    pub(super) fn basic(name: &str, password: &str, charset: &'static Encoding) -> Self {
        let text = format!("{name}:{password}");
        let (bytes, _, unmappable) = charset.encode(&text);
        assert!(!unmappable, "{text} cannot be written in {}", charset.name());
        Self::Basic(bytes.into_owned())
    }

    fn admit(&self, request: &Request) -> bool {
        let given = request.header("authorization").unwrap_or_default();
        match self {
            Self::None => true,
            Self::Basic(wanted) => given
                .strip_prefix("Basic ")
                .and_then(|encoded| STANDARD.decode(encoded).ok())
                .is_some_and(|bytes| bytes == *wanted),
            Self::Bearer(token) => given.strip_prefix("Bearer ") == Some(token),
        }
    }
}

pub(super) struct State {
    /// Live managed sessions, with the number of requests that run in each.
    pub(super) sessions: BTreeMap<String, usize>,
    pub(super) started: usize,
    pub(super) finished: usize,
    /// Sessions end with the request that began them.
    pub(super) forgetful: bool,
    /// The answer to the cookie of a session that is gone.
    pub(super) lost: Reply,
    pub(super) refusal: Option<Refusal>,
    pub(super) executions: BTreeMap<String, usize>,
    /// Tool calls that run now.
    running: usize,
    pub(super) peak: usize,
    pub(super) violations: Vec<String>,
}

/// What the next so many requests get.
pub(super) struct Refusal {
    pub(super) times: usize,
    pub(super) reply: Reply,
}

impl State {
    pub(super) fn begin_call(&mut self, tool: &str) {
        *self.executions.entry(tool.to_owned()).or_default() += 1;
        self.running += 1;
        self.peak = self.peak.max(self.running);
    }

    pub(super) fn end_call(&mut self) {
        self.running -= 1;
    }

    fn refuse(&mut self) -> Option<Reply> {
        let refusal = self.refusal.as_mut().filter(|refusal| refusal.times > 0)?;
        refusal.times -= 1;
        Some(refusal.reply.clone())
    }
}

/// Where in the publication a request goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Rpc,
    Health,
    Manifest,
}

/// The session that a request runs in.
enum Seat {
    /// One from the pool, or one of its own: the client hears nothing of it.
    Unnamed,
    /// Managed; with `begun` the cookie is told, with `ends` it is over afterwards.
    Managed { id: String, begun: bool, ends: bool },
}

impl Infobase {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            base: "/base".to_owned(),
            root: "mcp".to_owned(),
            credentials: Credentials::None,
            reuse: Reuse::Automatic,
            sticky: None,
            slow_to_finish: false,
            has_health: generation != Generation::Stub,
            service: OnecService::new(generation),
            state: Board::new(State {
                sessions: BTreeMap::new(),
                started: 0,
                finished: 0,
                forgetful: false,
                lost: Reply::status(404),
                refusal: None,
                executions: BTreeMap::new(),
                running: 0,
                peak: 0,
                violations: Vec::new(),
            }),
        }
    }

    fn reply_to(&self, request: &Request, life: &Life) -> io::Result<Reply> {
        let place = match self.place(&request.path) {
            Ok(place) => place,
            Err(reply) => return Ok(reply),
        };
        if !self.credentials.admit(request) {
            return Ok(pages::unauthorized(match self.credentials {
                Credentials::Bearer(_) => &["Bearer"],
                _ => &["Basic realm=\"1C:Enterprise 8.3\""],
            }));
        }
        if let Some(refusal) = self.state.update(State::refuse) {
            return Ok(refusal);
        }
        let seat = match self.sit_down(request) {
            Ok(seat) => seat,
            Err(lost) => return Ok(lost),
        };
        if self.slow_to_finish && place == Place::Health && ends_session(request) {
            life.pass("finish")?;
        }
        let reply = self.service.answer(place, request, &self.state, life);
        // Before the reply is out, so that the client's next request finds the seat free.
        let cookie = self.stand_up(&seat);
        Ok(cookie.into_iter().fold(reply?, |reply, cookie| reply.header("Set-Cookie", cookie)))
    }

    /// Reads the path as the web server and the platform do, or refuses it as they do.
    fn place(&self, path: &str) -> Result<Place, Reply> {
        let path = path.split('?').next().unwrap_or_default();
        let decoded = percent_decode_str(path).decode_utf8().map_err(|_| pages::not_found())?;
        let below = |text: &str, base: &str| -> Option<String> {
            text.strip_prefix(base)?.strip_prefix('/').map(str::to_owned)
        };
        let Some(rest) = below(&decoded, &self.base) else {
            let other_case = below(&decoded.to_lowercase(), &self.base.to_lowercase());
            return Err(match other_case {
                Some(_) => {
                    let rest = &decoded[self.base.len()..];
                    pages::moved(&format!("{}{rest}", self.base))
                }
                None => pages::not_found(),
            });
        };
        let place = below(&rest, "hs").and_then(|rest| below(&rest, &self.root));
        match (place.as_deref(), self.service.generation) {
            (Some("rpc"), _) | (Some(""), Generation::StrictKeys | Generation::LenientKeys) => {
                Ok(Place::Rpc)
            }
            (Some("health"), _) if self.has_health => Ok(Place::Health),
            (Some("manifest"), _) => Ok(Place::Manifest),
            _ => Err(pages::not_found()),
        }
    }

    fn sit_down(&self, request: &Request) -> Result<Seat, Reply> {
        if self.reuse == Reuse::Automatic {
            return Ok(Seat::Unnamed);
        }
        let asked = request.header("ibsession").unwrap_or_default().to_ascii_lowercase();
        let cookie = cookie(request, "ibsession");
        self.state.update(|state| match cookie {
            Some(id) => {
                let Some(running) = state.sessions.get_mut(&id) else {
                    return Err(state.lost.clone());
                };
                *running += 1;
                if *running > 1 {
                    state.violations.push(format!("{running} requests at once in session {id}"));
                }
                Ok(Seat::Managed { id, begun: false, ends: asked == "finish" })
            }
            None if asked == "start" => {
                if request.method == "POST" && request.name() == "tools/call" {
                    state.violations.push("a tool call began a session".to_owned());
                }
                state.started += 1;
                let id = new_id();
                state.sessions.insert(id.clone(), 1);
                Ok(Seat::Managed { id, begun: true, ends: false })
            }
            None => Ok(Seat::Unnamed),
        })
    }

    /// The `Set-Cookie` for a session that has begun.
    fn stand_up(&self, seat: &Seat) -> Option<String> {
        let Seat::Managed { id, begun, ends } = seat else {
            return None;
        };
        self.state.update(|state| {
            if let Some(running) = state.sessions.get_mut(id) {
                *running -= 1;
                if *ends || state.forgetful {
                    state.sessions.remove(id);
                }
                state.finished += usize::from(*ends);
            }
        });
        begun.then(|| format!("ibsession={id}; path={}; HttpOnly", self.base))
    }
}

impl Service for Arc<Infobase> {
    fn answer(&self, exchange: &mut Exchange<'_>) -> Answered {
        let mut reply = self.reply_to(&exchange.request, &exchange.life())?;
        if let Some(sticky) = &self.sticky
            && let Some((name, _)) = sticky.split_once('=')
            && cookie(&exchange.request, name).is_none()
        {
            reply = reply.header("Set-Cookie", format!("{sticky}; Path=/; HttpOnly"));
        }
        exchange.send(&reply)
    }

    fn wake(&self) {
        self.state.update(|_| ());
    }
}

fn ends_session(request: &Request) -> bool {
    request.header("ibsession").is_some_and(|asked| asked.eq_ignore_ascii_case("finish"))
}

/// The value of a cookie. Its name is taken in any case, as the platform does.
pub(super) fn cookie(request: &Request, name: &str) -> Option<String> {
    let cookies = request.header("cookie")?.split(';');
    let mut pairs = cookies.filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(given, _)| given.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_owned())
}

fn new_id() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}
