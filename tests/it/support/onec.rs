//! A 1C:Enterprise infobase with an MCP service published on a web server: every generation of the
//! service, in the bytes that the platform writes, with its users, sessions and refusals.
//!
//! An unscripted service offers what `onec/service.json` holds. Each tool that it lists can be
//! called and says its name and its arguments; `wait` does so once the gate that its argument
//! `gate` names is open.

mod checks;
mod infobase;
pub(crate) mod pages;
mod service;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::thread;

use serde_json::Value;
use serde_json::value::RawValue;

use self::infobase::{Credentials, Infobase, Refusal, State};
use self::service::Said;
use super::http::{Reply, Request};
use super::line::{Line, Setup};
use super::upstream::Upstream;

/// What the service knows of the protocol, by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// `/manifest` and a `/rpc` that is a stub: 200 without a body, whatever it is asked.
    Stub,
    /// No `initialize`; internal errors and answers to notifications carry the id 1.
    NoHandshake,
    /// `initialize`, 204 for notifications, no foreign characters in any key.
    StrictKeys,
    /// As [`Generation::StrictKeys`], but foreign characters in keys become `_`.
    LenientKeys,
    /// Somebody else's service: compact JSON, `ping`, 202 for notifications.
    Foreign,
}

/// How sessions of the platform are reused (`reuseSessions` of the publication).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// `autouse`: a pool that the client knows nothing of.
    Automatic,
    /// `use`: by the `IBSession` header and the `ibsession` cookie.
    Managed,
}

/// A publication in the making.
pub(crate) struct Publication {
    infobase: Infobase,
}

impl Publication {
    /// The infobase's path on the server, unescaped; `/base` unless given.
    pub(crate) fn base(mut self, path: &str) -> Self {
        path.clone_into(&mut self.infobase.base);
        self
    }

    /// The root of the service, `mcp` unless given.
    pub(crate) fn root(mut self, root: &str) -> Self {
        root.clone_into(&mut self.infobase.root);
        self
    }

    /// Only this user may come in, by Basic authentication in UTF-8.
    pub(crate) fn user(mut self, name: &str, password: &str) -> Self {
        self.infobase.credentials = Credentials::basic(name, password, encoding_rs::UTF_8);
        self
    }

    /// As [`Publication::user`], on a platform that reads windows-1251.
    pub(crate) fn user_in_1251(mut self, name: &str, password: &str) -> Self {
        self.infobase.credentials = Credentials::basic(name, password, encoding_rs::WINDOWS_1251);
        self
    }

    /// Only who shows this token may come in.
    pub(crate) fn token(mut self, token: &str) -> Self {
        self.infobase.credentials = Credentials::Bearer(token.to_owned());
        self
    }

    pub(crate) fn sessions(mut self, reuse: Reuse) -> Self {
        self.infobase.reuse = reuse;
        self
    }

    /// A load balancer in front sets this cookie and wants it back.
    pub(crate) fn balanced_by(mut self, cookie: &str) -> Self {
        self.infobase.sticky = Some(cookie.to_owned());
        self
    }

    /// `/manifest` is answered like this; without it with 404, or with nothing by a stub.
    pub(crate) fn manifest(mut self, reply: Reply) -> Self {
        self.infobase.service.manifest = Some(reply);
        self
    }

    /// A method that the service does not know.
    pub(crate) fn without(mut self, method: &str) -> Self {
        self.infobase.service.unknown.insert(method.to_owned());
        self
    }

    /// The result of a request. `key` is the method, or the method, a space, and the name or URI
    /// in its params. The result is written as the platform writes JSON.
    pub(crate) fn result(self, key: &str, result: &str) -> Self {
        self.spelled(key, &service::platform_style(result))
    }

    /// As [`Publication::result`], but the result is sent as it is spelled.
    pub(crate) fn spelled(self, key: &str, result: &str) -> Self {
        self.says(key, Said::Result(result.to_owned()))
    }

    /// A JSON-RPC error, sent as it is spelled.
    pub(crate) fn error(self, key: &str, error: &str) -> Self {
        self.says(key, Said::Error(error.to_owned()))
    }

    /// What comes instead of a JSON-RPC response.
    pub(crate) fn reply(self, key: &str, reply: Reply) -> Self {
        self.says(key, Said::Reply(reply))
    }

    fn says(mut self, key: &str, said: Said) -> Self {
        self.infobase.service.said.insert(key.to_owned(), said);
        self
    }

    /// There is no `/health`, as with some services of others.
    pub(crate) fn without_health(mut self) -> Self {
        self.infobase.has_health = false;
        self
    }

    /// `GET /health` with `IBSession: finish` waits for the gate `finish`.
    pub(crate) fn slow_to_finish(mut self) -> Self {
        self.infobase.slow_to_finish = true;
        self
    }

    pub(crate) fn serve(self) -> Onec {
        let infobase = Arc::new(self.infobase);
        let upstream = Upstream::absent(Arc::clone(&infobase));
        upstream.start();
        Onec { upstream, infobase }
    }
}

/// A running infobase. Dropping it fails the test if somebody broke the rules of its sessions.
pub(crate) struct Onec {
    upstream: Upstream,
    infobase: Arc<Infobase>,
}

/// How many managed sessions there have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sessions {
    pub(crate) started: usize,
    pub(crate) live: usize,
    /// Ended by the client, not by the platform.
    pub(crate) finished: usize,
}

impl Deref for Onec {
    type Target = Upstream;

    fn deref(&self) -> &Upstream {
        &self.upstream
    }
}

impl Onec {
    pub(crate) fn publish(generation: Generation) -> Publication {
        Publication { infobase: Infobase::new(generation) }
    }

    /// The newest generation with everything as it is by default.
    pub(crate) fn g3() -> Self {
        Self::publish(Generation::LenientKeys).serve()
    }

    /// The URL of the infobase, as a person would write it.
    pub(crate) fn url(&self) -> String {
        self.url_of(&self.infobase.base)
    }

    /// A line of kind 1c to the infobase's URL.
    pub(crate) fn line(&self) -> Setup {
        Line::to(&self.url()).args("--kind 1c")
    }

    /// The next so many requests are answered like this, before anything of them has run.
    pub(crate) fn refuse(&self, times: usize, reply: Reply) {
        self.infobase.state.update(|state| state.refusal = Some(Refusal { times, reply }));
    }

    /// All sessions are gone, as after a restart, and their cookies are answered like this.
    pub(crate) fn drop_sessions(&self, reply: Reply) {
        self.infobase.state.update(|state| {
            state.sessions.clear();
            state.lost = reply;
        });
    }

    /// From now on no session outlives the request that began it.
    pub(crate) fn keep_no_session(&self) {
        self.infobase.state.update(|state| state.forgetful = true);
        self.drop_sessions(Reply::status(404));
    }

    pub(crate) fn sessions(&self) -> Sessions {
        self.infobase.state.read(|state| Sessions {
            started: state.started,
            live: state.sessions.len(),
            finished: state.finished,
        })
    }

    pub(crate) fn executions(&self, tool: &str) -> usize {
        self.infobase.state.read(|state| state.executions.get(tool).copied().unwrap_or(0))
    }

    /// The most tool calls that ran at the same time.
    pub(crate) fn peak(&self) -> usize {
        self.infobase.state.read(|state| state.peak)
    }

    /// Waits until no request runs in any session.
    pub(crate) fn wait_until_idle(&self) {
        let is_idle = |state: &mut State| state.sessions.values().all(|running| *running == 0);
        let state = &self.infobase.state;
        state.wait("the requests to end", |state| is_idle(state).then_some(()));
    }

    /// Takes what somebody did that a session does not bear.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        self.infobase.state.update(|state| std::mem::take(&mut state.violations))
    }

    /// The requests with this method and this end of their path.
    pub(crate) fn to_path(&self, method: &str, end: &str) -> Vec<Request> {
        let wanted = |request: &Request| request.method == method && request.path.ends_with(end);
        self.requests().into_iter().filter(wanted).collect()
    }
}

impl Drop for Onec {
    fn drop(&mut self) {
        if !thread::panicking() {
            let violations = self.take_violations();
            assert!(violations.is_empty(), "{violations:?}");
        }
    }
}

/// The scripts of an unscripted service.
fn default_results() -> BTreeMap<String, Said> {
    let results: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(include_str!("onec/service.json")).expect("a data file of ours");
    let spelled = |result: &RawValue| Said::Result(service::platform_style(result.get()));
    results.iter().map(|(key, result)| (key.clone(), spelled(result))).collect()
}

/// A manifest with everything in it that one may hold, as the service sends it.
pub(crate) fn whole_manifest() -> Reply {
    manifest(include_str!("onec/manifest.json"))
}

/// This manifest as the service sends it.
pub(crate) fn manifest(json: &str) -> Reply {
    let manifest: Value = serde_json::from_str(json).expect("a manifest of the test's");
    pages::platform_body(200, &service::platform_style(&manifest.to_string()))
}
