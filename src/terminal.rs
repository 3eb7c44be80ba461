//! Words for a person at a terminal, on stderr and outside the log.

use std::io::{self, IsTerminal, Write};

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
