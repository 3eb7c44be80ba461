//! Entries for this program in the configuration of MCP clients.
//!
//! A client is a row of [`client::CLIENTS`]: where its file is, in which format, and how an entry looks
//! there. Nothing below knows a client by name. A file is read and written by [`mod@file`], edited as a
//! [`document::Document`], and a change is shown by [`mod@diff`].
//!
//! **Invariants.** A file that cannot be parsed is not touched. Of a file that can be, only the entry
//! changes: comments, order, indentation, line ends and BOM stay. The file as it was is kept beside it.
//! No secret is written into the arguments of an entry.

pub(crate) mod client;
mod diff;
mod document;
mod entry;
mod file;
mod place;
mod secrets;

pub(crate) use self::client::Client;
pub(crate) use self::diff::diff;
pub(crate) use self::document::Document;
pub(crate) use self::entry::Entry;
pub(crate) use self::file::ConfigFile;
pub(crate) use self::place::{Found, Machine};
pub(crate) use self::secrets::secrets;
