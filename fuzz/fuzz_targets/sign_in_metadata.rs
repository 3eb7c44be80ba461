//! Whatever a server publishes of signing in, what is usable of it leads only where it may.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpline::sign_in_fuzzing::read_metadata;

fuzz_target!(|data: &[u8]| read_metadata(data));
