//! Every command in the documents is run: those of this program as they are written, against emulators
//! that stand at the addresses in them. A command that cannot be run here is in a table with the reason.

use std::fs;

use serde_json::Value;

use super::{Page, root};
use crate::support::amocrm::Generation;
use crate::support::home::{Home, Said, write};
use crate::support::{Amocrm, Bitrix, HttpSse, Onec, Streamable, Upstream, at_once, request};

/// How a command begins that is not run here, and why.
const NOT_RUN: [(&str, &str); 17] = [
    ("cargo install", "builds the program, which takes minutes"),
    ("cargo test", "is what runs this"),
    ("scripts/", "a part of CI, or of a release"),
    ("nc ", "shows what is sent, and is no part of this program"),
    ("grep -F", "looks into the log of the command above it"),
    ("$OutputEncoding", "a setting of PowerShell"),
    ("$env:", "sets a variable in PowerShell"),
    ("printf 'Password", "asks a person for a password"),
    ("printf 'Пароль", "asks a person for a password"),
    ("printf 'API key", "asks a person for a key"),
    ("printf 'Ключ API", "asks a person for a key"),
    ("mcpline URL", "a pattern"),
    ("mcpline АДРЕС", "a pattern"),
    ("mcpline [OPTIONS]", "a pattern"),
    ("mcpline login https", "waits for a person; sign_in.rs runs it with one"),
    ("mcpline logout https", "undoes the one above; sign_in.rs runs it"),
    ("mcpline mcp-remote URL", "a pattern; tests of their own are in mcp_remote.rs"),
];

/// Patterns and mentions in the text around the blocks: no whole commands.
const MENTIONS: [&str; 12] = [
    "cargo binstall",
    "mcpline check",
    "mcpline check URL",
    "mcpline check --json",
    "mcpline tools URL",
    "mcpline call URL TOOL",
    "mcpline login",
    "mcpline login URL",
    "mcpline install",
    "mcpline install --take-over NAME",
    "mcpline install --take-over ИМЯ",
    "mcpline install CLIENT [NAME] [OPTIONS] URL",
];

/// How a command in the text around the blocks begins.
const BEGINNINGS: [&str; 6] =
    ["mcpline ", "claude mcp add ", "codex mcp add ", "gemini mcp add ", "npx ", "cargo "];

/// Parts of commands whose request is to end with an error, and its code.
const FAIL: [(&str, i64); 3] = [
    ("--max-time 1 ", -33006),
    ("--proxy http://127.0.0.1:3128", -33001),
    ("http://127.0.0.1:9/mcp", -33001),
];

/// The servers at the addresses in the documents.
struct World {
    addresses: Vec<(&'static str, String)>,
    _servers: (Streamable, HttpSse, Onec, Bitrix, Amocrm),
}

impl World {
    fn new() -> Self {
        let any = Upstream::streamable();
        let older = Upstream::http_sse();
        let onec = Onec::g3();
        let bitrix = Bitrix::current();
        let amocrm = Amocrm::of(Generation::Streamed);
        // The longer ones first.
        let addresses = vec![
            ("https://mcp.example.com/mcp", any.url()),
            ("https://crm.example.com/mcp", any.url()),
            ("http://127.0.0.1:8000/mcp", any.url()),
            ("http://127.0.0.1:3001/sse", older.url()),
            ("http://srv/base", onec.url()),
            ("http://127.0.0.1:8000", bitrix.base()),
            ("https://amo.example.com", amocrm.base()),
            ("https://amo.corp.example", amocrm.base()),
        ];
        Self { addresses, _servers: (any, older, onec, bitrix, amocrm) }
    }

    fn at_emulators(&self, text: &str) -> String {
        let replaced = |text: String, (written, url): &(&str, String)| text.replace(written, url);
        self.addresses.iter().fold(text.to_owned(), replaced)
    }
}

/// The commands of a page: the lines of its blocks for shells, and what begins with `mcpline` in the
/// text around them.
fn commands(page: &Page) -> Vec<String> {
    let (blocks, prose) = page.parts();
    let mut all: Vec<String> = Vec::new();
    for block in blocks {
        let is_console = block.language == "console";
        if !is_console && !["sh", "bat", "powershell"].contains(&block.language) {
            continue;
        }
        let mut goes_on = false;
        for line in block.text.lines().filter(|line| !line.is_empty()) {
            let command = if is_console { line.strip_prefix("$ ") } else { Some(line) };
            match all.last_mut().filter(|_| goes_on) {
                Some(last) => *last += &format!(" {}", line.trim()),
                None => all.extend(command.map(str::to_owned)),
            }
            let is_command = goes_on || command.is_some();
            goes_on = is_command && line.ends_with(['\\', '|']);
            if let Some(last) = all.last_mut().filter(|last| last.ends_with('\\')) {
                last.pop();
            }
        }
    }
    let spans = prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
    let is_command = |span: &String| BEGINNINGS.iter().any(|begin| span.starts_with(begin));
    all.extend(spans.filter(is_command));
    all
}

/// The words of a command line, with quotes removed, and pipes as words of their own.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut is_quoted = false;
    for letter in command.chars().chain([' ']) {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => (quote, is_quoted) = (Some(letter), true),
            (' ', None) => {
                if is_quoted || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_quoted = false;
            }
            _ => word.push(letter),
        }
    }
    words
}

/// A command of this program, taken out of a command line.
struct Ours {
    env: Vec<(String, String)>,
    args: Vec<String>,
    input: String,
}

impl Ours {
    /// Reads `echo … | NAME=VALUE … mcpline ARGUMENTS | …` and `client mcp add … -- mcpline ARGUMENTS`, in
    /// the words of any shell.
    fn read(command: &str) -> Option<Self> {
        let words = words(command.trim_start_matches("time (").trim_end_matches(')'));
        let is_program = |word: &String| {
            let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
            matches!(name, "mcpline" | "mcpline.exe")
        };
        // The build and the program in one.
        let (at, skipped) = match words.iter().position(is_program) {
            Some(at) => (at, 1),
            None => (words.windows(2).position(|pair| pair == ["cargo", "run"])?, 4),
        };
        let begin = words[..at].iter().rposition(|word| word == "|");
        let before = &words[begin.map_or(0, |pipe| pipe + 1)..at];
        let variable = |word: &String| {
            let (name, value) = word.split_once('=')?;
            let is_name = |letter: char| letter.is_ascii_uppercase() || letter == '_';
            name.chars().all(is_name).then(|| (name.to_owned(), value.to_owned()))
        };
        let end = |word: &&String| {
            *word != "|" && !word.starts_with('>') && !word.starts_with("2>") && *word != "#"
        };
        let args = words[at + skipped..].iter().take_while(end).cloned();
        let said = &words[..begin.unwrap_or(0)];
        let input = match said {
            [] => String::new(),
            [echo, line] if echo == "echo" => format!("{line}\n"),
            [printf, _, lines @ ..] if printf == "printf" => lines.join("\n") + "\n",
            [line] => format!("{line}\n"),
            other => panic!("what writes this? {other:?}"),
        };
        Some(Self {
            env: before.iter().filter_map(variable).collect(),
            args: args.skip_while(|word| word == "--").collect(),
            input,
        })
    }

    fn is(&self, command: &str) -> bool {
        self.args.first().is_some_and(|word| word == command)
    }
}

/// Runs the command as somebody would who has the settings file of the documents, and tells what is wrong.
fn run(world: &World, command: &str) -> Result<(), String> {
    let Some(mut ours) = Ours::read(command) else {
        return Err("it is neither run nor in the table of those that are not".to_owned());
    };
    let home = Home::new();
    let settings = fs::read_to_string(root().join("docs/settings-file.md")).unwrap();
    let (_, sections) = settings.split_once("\n[crm]").unwrap();
    let (sections, _) = sections.split_once("```").unwrap();
    let settings = home.config("mcpline/config.toml");
    write(&settings, &world.at_emulators(&format!("[crm]{sections}")));
    let is_about_files = ours.is("install") || ours.is("uninstall");
    if ours.is("uninstall") || ours.args.iter().any(|word| word == "--take-over") {
        home.install("claude-desktop crm https://crm.example.com/mcp").is_done();
        home.install("cursor crm https://crm.example.com/mcp").is_done();
    }
    if !is_about_files {
        ours.args = ours.args.iter().map(|word| world.at_emulators(word)).collect();
    }
    let forwards = !["check", "tools", "call", "install", "uninstall", "--version"]
        .iter()
        .any(|command| ours.is(command));
    if forwards && ours.input.is_empty() {
        ours.input = format!("{}\n", request("1", "tools/list", "{}"));
    }
    let args: Vec<&str> = ours.args.iter().map(String::as_str).collect();
    let env: Vec<_> = ours.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    let Said { status, stdout, stderr } = home.pipe(&args, &env, &ours.input);
    let said = format!("{stdout}{stderr}");
    if status != 0 {
        return Err(format!("status {status}: {said}"));
    }
    if ours.is("check") && !stdout.contains("It works") {
        return Err(said);
    }
    if !forwards {
        return Ok(());
    }
    let replies = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut replies = replies.filter(|reply| reply.get("id").is_some()).peekable();
    let code = FAIL.iter().find(|(part, _)| command.contains(part)).map(|(_, code)| *code);
    let is_as_told = |reply: Value| match code {
        Some(code) => reply["error"]["code"] == code,
        None => reply.get("result").is_some(),
    };
    (replies.peek().is_some() && replies.all(is_as_told)).then_some(()).ok_or(said)
}

#[test]
fn every_command_in_the_documents_runs() {
    let world = World::new();
    let mut all: Vec<(String, String)> = Vec::new();
    for page in Page::all().into_iter().filter(|page| page.name() != "CHANGELOG.md") {
        let new = commands(&page).into_iter().map(|command| (page.name(), command));
        all.extend(new);
    }
    let is_there = |mention: &&&str| all.iter().any(|(_, command)| command == **mention);
    let gone: Vec<_> = MENTIONS.iter().filter(|mention| !is_there(mention)).collect();
    assert!(gone.is_empty(), "nothing says so any more: {gone:?}");
    all.retain(|(_, command)| !MENTIONS.contains(&command.as_str()));
    let is_gone =
        |(start, _): &&(&str, &str)| !all.iter().any(|(_, command)| command.starts_with(start));
    let gone: Vec<_> = NOT_RUN.iter().filter(is_gone).collect();
    assert!(gone.is_empty(), "no command begins so any more: {gone:?}");
    all.retain(|(_, command)| !NOT_RUN.iter().any(|(start, _)| command.starts_with(start)));
    all.sort_by(|one, other| one.1.cmp(&other.1));
    all.dedup_by(|one, other| one.1 == other.1);
    assert!(all.len() > 30, "{all:#?}");
    let wrong = std::sync::Mutex::new(Vec::new());
    at_once(all, |(page, command)| {
        if let Err(why) = run(&world, &command) {
            wrong.lock().unwrap().push(format!("{page}: {command}\n{why}"));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
