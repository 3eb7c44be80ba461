//! How text is set off where a person looks: colours on a terminal, and none in a pipe.

use std::io::{self, IsTerminal};

/// A colour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Colour {
    Green,
    Yellow,
    Red,
}

/// How text is set off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    has_colours: bool,
}

impl Style {
    /// The style of what is printed on stdout.
    pub(crate) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    /// The style of what is said on stderr.
    pub(crate) fn of_stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    /// Colours on a terminal that knows them. The person has the last word: `NO_COLOR` means never,
    /// and `CLICOLOR_FORCE` always.
    fn of(is_terminal: bool) -> Self {
        let has_colours = !anstyle_query::no_color()
            && (anstyle_query::clicolor_force() || is_terminal && knows_codes());
        Self { has_colours }
    }

    /// Stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.in_code("1", text)
    }

    /// Stands back.
    pub(crate) fn dim(self, text: &str) -> String {
        self.in_code("2", text)
    }

    /// Is well, may not be well, is not well.
    pub(crate) fn in_colour(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
        };
        self.in_code(code, text)
    }

    fn in_code(self, code: &str, text: &str) -> String {
        if self.has_colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// `text` with line breaks so that it fits the terminal where it begins in column `indent`, as do its
/// further lines. In a pipe it stays one line.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let Some(room) = width().and_then(|width| width.checked_sub(indent)) else {
        return text.to_owned();
    };
    let break_line = format!("\n{}", " ".repeat(indent));
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            wrapped.push_str(&break_line);
            used = 0;
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += length;
    }
    wrapped
}

/// The columns of the person's terminal; `COLUMNS` has the last word.
fn width() -> Option<usize> {
    let variable = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    variable.or_else(|| {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(width.0.into())
    })
}

/// Whether the terminal acts on codes. A console of Windows has to be told to, and an old one
/// prints them.
pub(super) fn knows_codes() -> bool {
    anstyle_query::term_supports_color()
        && anstyle_query::windows::enable_ansi_colors().unwrap_or(true)
}
