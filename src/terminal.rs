//! Words for a person at a terminal, outside the log; and what commands print that do not forward.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

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
    let _ = writeln!(io::stderr(), "mcpline: {why}");
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

/// A colour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Colour {
    Green,
    Yellow,
    Red,
}

/// How text is set off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    has_colours: bool,
}

impl Style {
    /// The style for what a person sees on stdout: none in a pipe, where `NO_COLOR` is set, and on
    /// terminals that do not know it.
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // The old console of Windows prints the codes themselves.
        let knows = if cfg!(windows) {
            is_set("WT_SESSION") || is_set("TERM")
        } else {
            std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        };
        Self { has_colours: is_watched() && knows && !is_set("NO_COLOR") }
    }

    /// Stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.in_code("1", text)
    }

    /// Stands back.
    pub(crate) fn dim(self, text: &str) -> String {
        self.in_code("2", text)
    }

    /// Is well, may not be well, is not well.
    pub(crate) fn in_colour(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
        };
        self.in_code(code, text)
    }

    /// Whether there is a terminal that knows codes.
    pub(crate) fn has_colours(self) -> bool {
        self.has_colours
    }

    fn in_code(self, code: &str, text: &str) -> String {
        if self.has_colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
