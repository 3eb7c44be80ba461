//! Words for a person at a terminal, outside the log; and what commands print that do not forward.

mod style;
mod waiting;

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

pub(crate) use self::style::{Colour, Style, wrapped};
pub(crate) use self::waiting::Waiting;
use crate::setup::SetupError;

/// Tells a person who has started the program in a terminal what it waits for.
pub(crate) fn greet_person(url: &str) {
    if io::stdin().is_terminal() {
        let _ = writeln!(
            io::stderr(),
            "mcpline {}: forwarding to {url}\nWaiting for JSON-RPC messages on standard input, one \
             a line; an MCP client usually starts this program and sends them.\nTry \
             {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}} and Enter; {} ends.",
            env!("CARGO_PKG_VERSION"),
            if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" },
        );
    }
}

/// Tells a person what a command has done, or waits for.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Tells why the program cannot start: one line, which is what a client's log shows.
pub fn complain(why: &str) {
    let name = Style::of_stderr().in_colour(Colour::Red, "mcpline:");
    let _ = writeln!(io::stderr(), "{name} {why}");
}

/// Tells what a person should look at, although the command goes on.
pub(crate) fn warn(what: &str) {
    let name = Style::of_stderr().in_colour(Colour::Yellow, "mcpline:");
    let _ = writeln!(io::stderr(), "{name} {what}");
}

/// Whether a person looks at stdout.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// Prints what a command was asked for. Only commands that do not forward may call it: where we
/// forward, stdout belongs to [`crate::stdio`].
///
/// # Errors
/// It cannot be written. A reader who has seen enough, such as `head`, is no error.
pub(crate) fn print(text: &str) -> Result<(), SetupError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(SetupError::failed(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// `text`, which a server has written, without the characters that move a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

/// Asks a person at a terminal; `None` if there is none.
pub(crate) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    let answer = answer.trim().to_lowercase();
    Some(matches!(&answer[..], "y" | "yes" | "д" | "да"))
}

/// Asks a person at a terminal for a secret, which is not shown; `None` if there is no terminal.
pub(crate) fn ask_secret(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    let _ = write!(io::stderr(), "{question}: ");
    rpassword::read_password().ok()
}
