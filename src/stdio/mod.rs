//! The client's side: standard input and output, one message a line.
//!
//! Not every system can wait for these streams asynchronously; how that is solved stays in here.
//! Nothing else may touch stdin and stdout.

pub mod framing;
mod hangup;
mod reader;
mod writer;

pub use framing::Input;
pub use hangup::client_gone;
pub use reader::Stdin;
pub use writer::{Outlet, Writer};
