//! The instructions of one sequential call: the steadiest figure there is, because it does not depend
//! on what else the machine does.
//!
//! Two runs under callgrind, whose difference leaves out the start and the end of the process.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::bridge::Candidate;
use crate::plan::{Limit, Plan};
use crate::report::{self, Cell, Row};
use crate::upstream::Upstream;

/// What `docs/performance.md` promises.
const TARGET: u64 = 80_000;

pub(crate) fn run(plan: &Plan, mcpline: &Candidate, candidates: usize) -> Result<Vec<Row>> {
    let cell = if has_valgrind() {
        report::announce("instructions");
        let upstream = Upstream::start(plan.path)?;
        let [few, many] = plan.counted_calls;
        let by_few = count(mcpline, &upstream.url(), few)?;
        let by_many = count(mcpline, &upstream.url(), many)?;
        let each = by_many.saturating_sub(by_few) / (many - few);
        Cell::new(each.to_string(), Some(each <= TARGET))
    } else {
        Cell::not_available()
    };
    Ok(vec![Row {
        what: "instructions of a sequential call".to_owned(),
        target: "≤ 80,000",
        straight: "–".to_owned(),
        cells: Cell::ours_only(cell, candidates),
    }])
}

fn has_valgrind() -> bool {
    let mut command = Command::new("valgrind");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The instructions of a process that makes so many calls, in user mode.
fn count(mcpline: &Candidate, url: &str, calls: u64) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("callgrind.out");
    let mut bridge = mcpline.under_callgrind(&profile).connect(url)?;
    bridge.sequential(Limit { calls, time: Duration::MAX / 2 })?;
    bridge.end()?;
    let profile = std::fs::read_to_string(profile)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind gave no totals")?.trim().parse()?)
}
