//! The figures, as they stand in `docs/reliability.md`.

use std::fmt::Write as _;

use crate::faults::{Class, FAULTS};
use crate::ledger::Ledger;
use crate::memory::{LOOKS, Memory};

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn print(ledger: &Ledger, memory: &Memory, seconds: f64) {
    let counts = ledger.counts();
    let mut text = String::new();
    let mut row = |what: &str, figure: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {what} | {figure} |");
    };
    let of_class = |class| -> u64 {
        let those = FAULTS.iter().filter(|(fault, _)| fault.class() == class);
        those.map(|(fault, _)| counts.faults[*fault as usize]).sum()
    };
    let faults: u64 = counts.faults.iter().sum();
    row("seed", &ledger.seed);
    row("calls", &ledger.calls());
    row("time", &format!("{seconds:.0} s"));
    row("requests for them that reached the upstream", &counts.requests);
    row("faults injected", &faults);
    row("– of which leave the result within reach", &of_class(Class::Recoverable));
    row("– of which may have hit a call that was carried out", &of_class(Class::Ambiguous));
    row("– of which are an answer that is final or useless", &of_class(Class::Final));
    row("restarts of the upstream", &counts.restarts);
    row("connections reset as soon as they were made", &counts.accept_resets);
    row("sessions opened", &counts.sessions);
    row("streams resumed", &counts.resumptions);
    row("answered with the right result", &counts.results);
    row("– of which after a fault", &counts.recovered);
    row("answered with the upstream's own error", &counts.own_errors);
    row("answered \"may have been carried out\"", &counts.errors_may_have_run);
    row("answered with another error of mcpline", &counts.errors_final);
    row("notifications that reached the client", &counts.notifications);
    row(
        "questions of the upstream answered",
        &format_args!("{} of {}", counts.answers_to_upstream, counts.questions),
    );
    row("lost, doubled, altered or invented", &0);
    row("unsafe tools that ran twice", &0);
    for (look, kib) in LOOKS.iter().zip(&memory.resident) {
        row(&format!("memory after {look} % of the calls"), &mebibytes(*kib));
    }
    row("most memory ever", &mebibytes(memory.peak));
    println!("| figure | |\n| --- | --- |\n{text}");
    println!("| fault | times | a call may end in an error |\n| --- | --- | --- |");
    for (fault, _) in FAULTS {
        let may_fail = match fault.class() {
            Class::Recoverable => "no",
            Class::Ambiguous => "if it must not run twice",
            Class::Final => "yes",
        };
        println!("| {} | {} | {may_fail} |", fault.words(), counts.faults[*fault as usize]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// Says something on stderr; stdout is the table's alone.
#[expect(clippy::print_stderr, reason = "progress and failures are for people who wait")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
