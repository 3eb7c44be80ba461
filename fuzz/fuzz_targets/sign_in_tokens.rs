//! Whatever a token endpoint answers, a token can be sent, and what is told of another answer acts on
//! no terminal. The first byte chooses the status.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpline::sign_in_fuzzing::read_token_answer;

const STATUSES: [u16; 6] = [200, 201, 302, 400, 401, 503];

fuzz_target!(|data: &[u8]| {
    if let Some((first, body)) = data.split_first() {
        read_token_answer(STATUSES[usize::from(*first) % STATUSES.len()], body);
    }
});
