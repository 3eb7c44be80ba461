//! The emulators as servers for programs outside these tests. `scripts/e2e` starts one of these,
//! reads its URL from stdout, and closes stdin to end it.
#![expect(clippy::print_stdout, reason = "the URL is what the script waits for")]

use std::io::Read;

use crate::support::amocrm::Generation;
use crate::support::{Amocrm, Bitrix};

fn serve(url: &str) {
    println!("\nserving {url}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
#[ignore = "a server for scripts/e2e"]
fn serve_bitrix() {
    serve(&Bitrix::current().base());
}

#[test]
#[ignore = "a server for scripts/e2e"]
fn serve_amocrm() {
    serve(&Amocrm::of(Generation::Streamed).base());
}
