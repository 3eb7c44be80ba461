//! Whatever a file of certificates holds, it is read without a panic, and what is taken for a
//! certificate is one whole value of DER, which reads as itself again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpline::http::certificates_in;

fuzz_target!(|bytes: &[u8]| {
    for certificate in certificates_in(bytes) {
        assert_eq!(certificates_in(&certificate), [certificate]);
    }
});
