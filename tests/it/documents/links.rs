//! Links between the documents, and pages that stand beside each other in two languages.

use std::path::Path;

use super::Page;

/// What follows each `](` up to the bracket that closes it.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// The names under which a page's headings can be linked to.
fn anchors(page: &Page) -> Vec<String> {
    let (_, prose) = page.parts();
    let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept =
            heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for page in Page::all() {
        let (_, prose) = page.parts();
        for target in targets(&prose).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            let is_there = path.exists()
                && (anchor.is_empty()
                    || anchors(&Page::read(path)).iter().any(|own| own == anchor));
            if !is_there {
                dead.push(format!("{}: {target}", page.name()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// What a translation must not lose: the headings, the rows of tables, and the blocks.
#[test]
fn a_russian_page_has_every_part_of_the_english_one() {
    let shape = |page: &Page| {
        let (blocks, prose) = page.parts();
        let count = |start: &str| prose.lines().filter(|line| line.starts_with(start)).count();
        (blocks.len(), count("#"), count("|"))
    };
    let pages = Page::all();
    let russian: Vec<_> = pages.iter().filter(|page| page.name().ends_with(".ru.md")).collect();
    assert!(!russian.is_empty());
    for page in russian {
        let english = page.path.to_string_lossy().replace(".ru.md", ".md");
        let english = pages.iter().find(|page| page.path == Path::new(&english));
        let english = english.unwrap_or_else(|| panic!("{} translates nothing", page.name()));
        assert_eq!(shape(page), shape(english), "{}", page.name());
    }
}
