//! Shows what a change does to a file. Our changes are in one part of it, so lines that are the same at
//! the beginning and at the end are all that has to be found.

/// Lines shown around what changes.
const CONTEXT: usize = 3;

/// `before` and `after` as a unified diff.
pub(crate) fn diff(name: &str, before: &str, after: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let (start, end) = unchanged(&old, &new);
    let from = start.saturating_sub(CONTEXT);
    let after_old = old.len() - end;
    let after_new = new.len() - end;
    let shown = CONTEXT.min(end);
    // A range without lines names the line in front of it.
    let range = |from: usize, to: usize| {
        let count = to - from;
        format!("{},{count}", if count == 0 { from } else { from + 1 })
    };
    let mut text = format!(
        "--- {name}\n+++ {name}\n@@ -{} +{} @@\n",
        range(from, after_old + shown),
        range(from, after_new + shown)
    );
    let mut add = |mark: char, lines: &[&str]| {
        for line in lines {
            text.push_str(&format!("{mark}{line}\n"));
        }
    };
    add(' ', &old[from..start]);
    add('-', &old[start..after_old]);
    add('+', &new[start..after_new]);
    add(' ', &old[after_old..after_old + shown]);
    text
}

/// How many lines are the same at the beginning, and how many of the others at the end.
pub(super) fn unchanged<T: PartialEq>(old: &[T], new: &[T]) -> (usize, usize) {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
    (start, rest.take_while(|(old, new)| old == new).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_shown_with_some_lines_around() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n";
        let shown = diff("f", before, "1\n2\n3\n4\nnew\n6\n7\n8\n");
        assert_eq!(shown, "--- f\n+++ f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+new\n 6\n 7\n 8\n");
        assert_eq!(diff("f", "", "a\n"), "--- f\n+++ f\n@@ -0,0 +1,1 @@\n+a\n");
    }
}
