//! Whatever comes to the port that waits for the browser, only an answer of the right server ends the
//! sign-in with a code.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpline::sign_in_fuzzing::read_redirect;

fuzz_target!(|data: &str| read_redirect(data));
