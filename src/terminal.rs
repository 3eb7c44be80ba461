//! Words for a person at a terminal, outside the log.

use std::io::{self, BufRead, IsTerminal, Write};

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

/// Tells why the program cannot start: one line, which is what a client's log shows.
pub fn complain(why: &str) {
    let _ = writeln!(io::stderr(), "mcpline: {why}");
}

/// Tells what a command was asked for, on stdout. Only for commands that do not speak the protocol there.
///
/// # Errors
/// Nobody reads stdout.
pub(crate) fn tell(text: &str) -> Result<(), SetupError> {
    let told = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    told.map_err(|error| SetupError::failed(format!("stdout cannot be written: {error}")))
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
