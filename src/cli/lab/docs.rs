//! The pages of docs/lab, made of the texts that stand beside the code.

use std::fs;
use std::io;
use std::path::Path;

use crate::lab::{Entry, FIRST, GROUPS, Group, find};

/// What surrounds the generated part of README.md.
const BEGIN: &str = "<!-- generated -->\n";
const END: &str = "<!-- /generated -->";

/// Writes every page, and the index in README.md, which must be there.
///
/// # Errors
/// A file cannot be read or written; a README.md without the two markers.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    for group in GROUPS.iter().filter(|group| !group.experiments().is_empty()) {
        fs::write(folder.join(format!("{}.md", group.name)), page(group))?;
    }
    let path = folder.join("README.md");
    let text = fs::read_to_string(&path)?;
    let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = parts.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} has no {}", path.display(), BEGIN.trim_end()))
    })?;
    fs::write(&path, format!("{head}{BEGIN}\n{}\n{END}{tail}", index()))
}

fn page(group: &Group) -> String {
    let entries = group.experiments();
    let mut text = format!(
        "# {}\n\nWritten by `oneloop lab docs docs/lab` from the texts beside the code; change them there. `oneloop lab run {}` \
         runs all of this page.\n",
        group.title, group.name
    );
    for entry in &entries {
        text += &section(entry);
    }
    text
}

fn section(entry: &Entry) -> String {
    let one = entry.experiment;
    let mut text = format!("\n## {} {}\n\n", one.id, one.title);
    text += &format!("*{}.* {}\n\n**Why it matters.** {}\n\n", sentence(entry.kind()), one.claim, one.why);
    text += "What it does:\n\n";
    for (number, step) in (1..).zip(entry.steps()) {
        text += &format!("{number}. {step}\n");
    }
    for need in one.needs {
        text += &format!("\n{}; else it is skipped.\n", sentence(&need.to_string()));
    }
    let code = format!("`{}`, `{}`", entry.page.path, entry.function());
    text + &format!("\nSource: {}. Code: {code}. Try it: `oneloop lab run {}`\n", one.source, one.id)
}

fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + rest.as_str())
}

fn index() -> String {
    let mut text = "| | group | experiments | core |\n|---|---|---|---|\n".to_owned();
    for group in GROUPS {
        let entries = group.experiments();
        if entries.is_empty() {
            continue;
        }
        let core = entries.iter().filter(|entry| entry.experiment.core).count();
        let link = format!("[{}]({}.md)", group.title, group.name);
        text += &format!("| {} | {link} | {} | {core} |\n", group.letter, entries.len());
    }
    text += "\nThose that teach most, in this order:\n\n";
    for (ids, lesson) in FIRST {
        let found: Vec<Entry> = ids.iter().filter_map(|id| find(id)).collect();
        if found.len() == ids.len() {
            let links: Vec<String> = found
                .iter()
                .map(|entry| format!("[{}]({}.md)", entry.experiment.id, entry.group.name))
                .collect();
            text += &format!("- {}: {lesson}\n", links.join(" with "));
        }
    }
    text
}
