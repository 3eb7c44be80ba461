//! The table, and the only place that prints.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::bridge::Candidate;
use crate::rounds::mebibytes;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    /// What `docs/performance.md` promises of mcpline; empty when it promises nothing.
    pub(crate) target: &'static str,
    pub(crate) straight: String,
    /// One for each candidate, mcpline first, or why there is none.
    pub(crate) cells: Vec<std::result::Result<Cell, String>>,
}

/// A figure of one candidate and whether it holds the target.
#[derive(Clone)]
pub(crate) struct Cell {
    text: String,
    held: Option<bool>,
}

impl Cell {
    pub(crate) fn new(text: String, held: Option<bool>) -> Self {
        Self { text, held }
    }

    pub(crate) fn not_available() -> Self {
        Self::new("n/a".to_owned(), None)
    }

    /// The cells of a row from what was measured for each candidate.
    pub(crate) fn each<T>(
        measured: &[Result<T>],
        cell: impl Fn(&T) -> Self,
    ) -> Vec<std::result::Result<Self, String>> {
        measured.iter().map(|one| one.as_ref().map(&cell).map_err(ToString::to_string)).collect()
    }

    /// The cells of a row that peers have no figure for.
    pub(crate) fn ours_only(
        cell: Self,
        candidates: usize,
    ) -> Vec<std::result::Result<Self, String>> {
        let mut cells = vec![Ok(Self::new("–".to_owned(), None)); candidates];
        cells[0] = Ok(cell);
        cells
    }
}

/// What a run has found so far.
pub(crate) struct Report {
    names: Vec<String>,
    cores: usize,
    places: Vec<String>,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(candidates: &[Candidate]) -> Self {
        Self {
            names: candidates.iter().map(|candidate| candidate.name.clone()).collect(),
            // Asked before anything is pinned: it counts what this process may use.
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            places: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Notes which cores a part of the run had.
    pub(crate) fn place(&mut self, part: &str, cores: &str) {
        self.places.push(format!("{part} {cores}"));
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        // The rows of one measurement fail together.
        if let Some(row) = rows.first() {
            for (name, cell) in self.names.iter().zip(&row.cells) {
                if let Err(why) = cell {
                    say(&format!("{name} failed at \"{}\": {why}", row.what));
                }
            }
        }
        self.rows.extend(rows);
    }

    pub(crate) fn mcpline_failed(&self) -> bool {
        self.rows.iter().any(|row| row.cells.first().is_some_and(std::result::Result::is_err))
    }

    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn print(&self) {
        println!("{}", self.markdown());
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "{} {}, {} cores, {}; {}.\n\n",
            std::env::consts::OS,
            std::env::consts::ARCH,
            self.cores,
            rustc_version(),
            self.places.join("; ")
        );
        let names = self.names.join(" | ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| measure | target | straight HTTP | {names} | held |");
        let _ = writeln!(text, "| --- | --- | --- |{} --- |", " --- |".repeat(self.names.len()));
        for row in &self.rows {
            let _ = write!(text, "| {} | {} | {} |", row.what, row.target, row.straight);
            for cell in &row.cells {
                let shown = cell.as_ref().map_or("failed", |cell| &cell.text);
                let _ = write!(text, " {shown} |");
            }
            let held = match row.cells.first() {
                Some(Ok(cell)) => match cell.held {
                    Some(true) => "yes",
                    Some(false) => "**no**",
                    None => "",
                },
                _ => "**no**",
            };
            let _ = writeln!(text, " {held} |");
        }
        text
    }
}

/// The row that takes no measuring.
pub(crate) fn binary_size(binary: &Path, candidates: usize) -> Result<Row> {
    let bytes = std::fs::metadata(binary)?.len();
    let cell = Cell::new(mebibytes(bytes / 1024), Some(bytes <= 6 << 20));
    Ok(Row {
        what: "the binary".to_owned(),
        target: "≤ 6 MiB",
        straight: "–".to_owned(),
        cells: Cell::ours_only(cell, candidates),
    })
}

fn rustc_version() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    version.map_or_else(|| "rustc unknown".to_owned(), |version| version.trim().to_owned())
}

/// Says something on stderr; stdout is the table's alone.
#[expect(clippy::print_stderr, reason = "progress and failures are for the user")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
