//! The pictures of `mcpline check` in the READMEs: what it prints on a terminal, as SVG. After a change
//! of its words, `UPDATE_GENERATED=1 cargo test --test it picture` draws them again.

use crate::generated::holds;
use crate::support::{Line, Output, Reply, Upstream};

/// Columns of the terminal.
const COLUMNS: usize = 100;

/// Width of ten characters, and height of a line, in pixels.
const CHARACTERS: (usize, usize) = (78, 18);

/// What `check` prints of a service of 1C behind a proxy that wants a login, in this language.
fn printed(language: &str) -> String {
    let proxy = Upstream::serve(|exchange| {
        let refusal = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"srv\"");
        exchange.send(&refusal.body("text/html", "").header("Server", "Apache/2.4.58 (Win64)"))
    });
    let setup = Line::run("check http://srv/base/hs/mcp")
        .env("HTTP_PROXY", &format!("http://{}", proxy.authority()))
        .env("COLUMNS", &COLUMNS.to_string())
        .env("CLICOLOR_FORCE", "1")
        .env("LC_ALL", language);
    let Output { stdout, .. } = setup.output("");
    // What differs from run to run.
    let stdout = stdout.replace(&proxy.authority(), "proxy.corp.example:3128");
    let words = stdout.split(' ').collect::<Vec<_>>();
    let is_time = |at: usize| {
        let unit =
            words.get(at + 1).is_some_and(|unit| unit.starts_with("ms") || unit.starts_with("мс"));
        unit && words[at].parse::<f64>().is_ok()
    };
    let fixed = (0..words.len()).map(|at| if is_time(at) { "4" } else { words[at] });
    fixed.collect::<Vec<_>>().join(" ")
}

/// The attributes of text behind a code of the terminal.
fn attributes(code: &str) -> &'static str {
    match code {
        "1" => r#" font-weight="bold""#,
        "2" => r##" fill="#8b949e""##,
        "31" => r##" fill="#ff7b72" font-weight="bold""##,
        "32" => r##" fill="#7ee787""##,
        "33" => r##" fill="#f2cc60""##,
        other => panic!("what does the code {other} look like?"),
    }
}

fn drawn(printed: &str, label: &str) -> String {
    let (width, height) = CHARACTERS;
    let lines: Vec<_> = printed.trim_end().lines().collect();
    let (right, bottom) = (COLUMNS * width / 10 + 32, lines.len() * height + 32);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {right} {bottom}\" width=\"{right}\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" \
         fill=\"#e6edf3\" role=\"img\" aria-label=\"{label}\">\n\
         <rect width=\"{right}\" height=\"{bottom}\" rx=\"6\" fill=\"#0d1117\"/>\n"
    );
    let mut style = "";
    for (row, line) in lines.into_iter().enumerate() {
        let y = 16 + height * row + 13;
        svg.push_str(&format!("<text x=\"16\" y=\"{y}\" xml:space=\"preserve\">"));
        for (at, piece) in line.split("\u{1b}[").enumerate() {
            let text = match piece.split_once('m').filter(|_| at > 0) {
                Some((code, text)) => {
                    style = if code == "0" { "" } else { attributes(code) };
                    text
                }
                None => piece,
            };
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            match (text.is_empty(), style) {
                (true, _) => {}
                (_, "") => svg.push_str(&text),
                (_, style) => svg.push_str(&format!("<tspan{style}>{text}</tspan>")),
            }
        }
        svg.push_str("</text>\n");
    }
    svg + "</svg>\n"
}

#[test]
fn the_pictures_of_check_are_what_it_prints() {
    holds("docs/check.svg", drawn(&printed("C"), "mcpline check").as_bytes());
    holds("docs/check.ru.svg", drawn(&printed("ru_RU.UTF-8"), "mcpline check").as_bytes());
}
