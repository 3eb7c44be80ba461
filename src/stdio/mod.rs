//! The client's side: standard input and output, one message a line.
//!
//! Two threads own the two streams, because neither can be waited for asynchronously on every
//! system; the rest of the program sees channels. Nothing else may touch stdout.

pub mod framing;
mod hangup;
mod reader;
mod writer;

pub use framing::Input;
pub use hangup::stdout_closed;
pub use reader::read_stdin;
pub use writer::{Outlet, Writer, write_stdout};
