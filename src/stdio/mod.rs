//! The client's side: standard input and output, one message a line.
//!
//! Neither stream can be waited for asynchronously on every system; what is done about that stays
//! in here. Nothing else may touch stdin and stdout.

pub mod framing;
mod hangup;
mod reader;
mod writer;

pub use framing::Input;
pub use hangup::stdout_closed;
pub use reader::Stdin;
pub use writer::{Outlet, Writer};
