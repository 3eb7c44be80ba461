//! One table: an upstream, a process, every row with every kind of message, and what is checked.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::Class::{Acted, Ambiguous, Final, Good, Rejected, SomeError, Theirs};
use super::{ALL, Fault, RESULT, Sent, TOOLS, answer_of, is_good, is_told};
use crate::support::board::Board;
use crate::support::{
    Answered, Exchange, Line, Message, SOON, Upstream, after_handshake, call, request,
};

/// How often each row's fault happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Happens {
    /// To the first attempt; the next one succeeds.
    Once,
    Always,
}

pub(super) struct Table {
    options: &'static str,
    happens: Happens,
    sent: &'static [Sent],
    /// The path of the URL; at `/sse` there is a stream that names it as its endpoint.
    path: &'static str,
    faults: Vec<Fault>,
}

/// One row with one kind of message.
struct Case<'a> {
    fault: &'a Fault,
    sent: Sent,
    name: String,
}

/// What the upstream has seen of one case.
#[derive(Clone, Default)]
struct Seen {
    times: Vec<Instant>,
    /// How often it was, or may have been, carried out.
    executed: usize,
}

type Ledger = Arc<Board<BTreeMap<usize, Seen>>>;

/// How one case went.
struct Outcome<'a> {
    case: &'a Case<'a>,
    reply: Option<Message>,
    seen: Seen,
    happens: Happens,
}

pub(super) fn table(options: &'static str, happens: Happens, faults: Vec<Fault>) -> Table {
    Table { options, happens, sent: &ALL, path: "/mcp", faults }
}

impl Table {
    pub(super) fn with(mut self, sent: &'static [Sent]) -> Self {
        self.sent = sent;
        self
    }

    /// Over HTTP+SSE, with `--kind sse` among the options. Answers come in the body of the POST, as
    /// some servers have it, so that the rows are the same.
    pub(super) fn over_sse(mut self) -> Self {
        self.path = "/sse";
        self
    }

    pub(super) fn prove(&self) {
        let pairs = self.faults.iter().flat_map(|fault| self.sent.iter().map(move |s| (fault, *s)));
        let cases: Vec<Case<'_>> = pairs
            .map(|(fault, sent)| Case { fault, sent, name: format!("{}: {sent:?}", fault.name) })
            .collect();
        let ledger = Ledger::new(Board::new(BTreeMap::new()));
        let upstream = Upstream::serve(self.script(&ledger));
        let mut line = Line::to(&upstream.url_of(self.path)).args(self.options).ready();
        line.send(request(r#""tools""#, "tools/list", "{}"));
        line.recv_id(r#""tools""#).result();

        let started = Instant::now();
        for (id, case) in cases.iter().enumerate() {
            line.send(case.sent.line(id));
        }
        let mut replies = Self::receive(&mut line, &cases, started);
        for (id, case) in cases.iter().enumerate() {
            // Nobody is told how a notification went, so the upstream is asked.
            ledger.wait(&case.name, |seen| {
                let times = seen.get(&id).map_or(0, |seen| seen.times.len());
                (case.sent != Sent::Notification || times >= case.least()).then_some(())
            });
        }
        line.expect_nothing();
        line.send(call(r#""next""#, "write", "{}"));
        assert_eq!(line.recv().raw_result(), RESULT);
        line.finish_with_nothing_left();

        let outcomes = cases.iter().enumerate().map(|(id, case)| Outcome {
            case,
            reply: replies.remove(&id),
            seen: ledger.read(|seen| seen.get(&id).cloned().unwrap_or_default()),
            happens: self.happens,
        });
        let failed: Vec<_> = outcomes.filter_map(|outcome| outcome.violation()).collect();
        assert!(
            failed.is_empty(),
            "{} of {} cases:\n{}",
            failed.len(),
            cases.len(),
            failed.join("\n")
        );
    }

    /// Every reply by the number of its case; nothing else may come.
    fn receive(line: &mut Line, cases: &[Case<'_>], started: Instant) -> BTreeMap<usize, Message> {
        let mut replies = BTreeMap::new();
        let owed = cases.iter().filter(|case| case.sent != Sent::Notification).count();
        while replies.len() < owed {
            let Ok(message) = catch_unwind(AssertUnwindSafe(|| line.recv())) else {
                let open = cases.iter().enumerate().filter(|(id, case)| {
                    case.sent != Sent::Notification && !replies.contains_key(id)
                });
                let open: Vec<_> = open.map(|(_, case)| case.name.as_str()).collect();
                panic!("no reply to {open:?}");
            };
            if !message.is_reply() {
                assert_eq!(message.method(), "notifications/extra", "unexpected: {message}");
                continue;
            }
            let id: usize = message.id().parse().unwrap_or_else(|_| panic!("nobody's: {message}"));
            let name = &cases[id].name;
            assert!(cases[id].sent != Sent::Notification, "{name} was answered: {message}");
            assert!(started.elapsed() < SOON, "{name}: after {:?}", started.elapsed());
            let twice = replies.insert(id, message);
            assert!(twice.is_none(), "{name} was answered twice");
        }
        replies
    }

    fn script(
        &self,
        ledger: &Ledger,
    ) -> impl Fn(&mut Exchange<'_>) -> Answered + Send + Sync + 'static {
        let rows = self.faults.iter().map(|fault| (fault.class, Arc::clone(&fault.act)));
        let rows: Vec<_> = rows.flat_map(|row| vec![row; self.sent.len()]).collect();
        let (ledger, happens) = (Arc::clone(ledger), self.happens);
        let others = after_handshake(move |exchange| {
            let rpc = exchange.rpc();
            let Some(row) = rpc.value["params"]["_meta"]["row"].as_u64() else {
                return match rpc.method() {
                    "tools/list" => exchange.result(TOOLS),
                    "notifications/cancelled" => exchange.accepted(),
                    _ => exchange.result(RESULT),
                };
            };
            let row = usize::try_from(row).unwrap();
            let (class, act) = &rows[row];
            let is_faulty = ledger.update(|ledger| {
                let seen = ledger.entry(row).or_default();
                seen.times.push(Instant::now());
                let is_faulty = happens == Happens::Always || seen.times.len() == 1;
                let is_done = !is_faulty || !matches!(class, Rejected(_) | Final(_));
                seen.executed += usize::from(is_done);
                is_faulty
            });
            match is_faulty {
                true => act(exchange),
                false if rpc.is_notification() => exchange.accepted(),
                false => exchange.json(answer_of(exchange)),
            }
        });
        move |exchange| {
            if exchange.request.path != "/sse" {
                return others(exchange);
            }
            let life = exchange.life();
            let mut events = exchange.events()?;
            events.raw("event: endpoint\ndata: /mcp\n\n")?;
            life.pass("for ever")?;
            events.cut()
        }
    }
}

impl Case<'_> {
    /// The attempts that are made at the least.
    fn least(&self) -> usize {
        match self.fault.class {
            Rejected(_) => 2,
            Ambiguous(_) if self.sent.is_safe() => 2,
            _ => 1,
        }
    }
}

impl Outcome<'_> {
    fn violation(&self) -> Option<String> {
        let checked = catch_unwind(AssertUnwindSafe(|| self.check()));
        let panic = checked.err()?;
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        Some(format!("- {}: {text}", self.case.name))
    }

    fn check(&self) {
        let Case { fault, sent, .. } = self.case;
        let tried = self.seen.times.len();
        let is_retried = self.case.least() > 1;
        assert!(
            self.seen.executed <= 1 || sent.is_safe(),
            "carried out {} times",
            self.seen.executed
        );
        match self.happens {
            _ if !is_retried => assert_eq!(tried, 1, "tried again"),
            Happens::Once => assert_eq!(tried, 2, "attempts"),
            Happens::Always => assert!(tried >= 2, "tried once"),
        }
        let Some(reply) = &self.reply else {
            assert_eq!(*sent, Sent::Notification);
            return;
        };
        is_json_rpc(reply);
        match (fault.class, self.happens) {
            (Good, _) | (Rejected(_), Happens::Once) => is_good(reply),
            (Ambiguous(_), Happens::Once) if sent.is_safe() => is_good(reply),
            (SomeError, _) => drop(reply.error_code()),
            (Theirs(code), _) => {
                assert_eq!(reply.error_code(), code, "{reply}");
                assert_ne!(reply.error()["data"]["source"], "mcpline", "{reply}");
            }
            (Rejected(code) | Ambiguous(code) | Final(code) | Acted(code), _) => {
                let may_have_run =
                    matches!(fault.class, Ambiguous(_) | Acted(_)) && !sent.is_safe();
                is_told(reply, code, may_have_run, tried);
            }
        }
    }
}

/// Whether this is a response as JSON-RPC has it (section 5); strict clients drop all else.
fn is_json_rpc(reply: &Message) {
    assert_eq!(reply.value["jsonrpc"], "2.0", "{reply}");
    let has = |name| reply.value.get(name).is_some();
    assert!(has("result") != has("error"), "both a result and an error: {reply}");
    if has("error") {
        reply.error_code();
        reply.error_text();
    }
}
