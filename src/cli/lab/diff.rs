//! Two runs side by side: two machines, or two kernels.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::document::{Document, Outcome, SCHEMA};
use crate::lab::Observation;

/// A run's document is a few hundred kilobytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the document of a run.
///
/// # Errors
/// The file cannot be read, or is something else; names it.
pub(super) fn read(path: &Path) -> Result<Document, String> {
    let text = read_text(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let of =
        |error: String| format!("{} is not what `oneloop lab run --json` prints: {error}", path.display());
    let document: Document = serde_json::from_str(&text).map_err(|error| of(error.to_string()))?;
    if document.schema != SCHEMA {
        return Err(of(format!("its schema is '{}', this version reads '{SCHEMA}'", document.schema)));
    }
    Ok(document)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// What differs, in words: A on the left, B on the right of each `|`.
pub(super) fn compare(a: &Document, b: &Document, with_numbers: bool) -> String {
    let mut text = format!("A  {}\nB  {}\n", a.host.line(), b.host.line());
    text += &settings(a, b);
    text.push('\n');
    let (mut both, mut other) = (0, 0);
    for one in &a.experiments {
        match b.experiments.iter().find(|there| there.id == one.id) {
            Some(there) => {
                both += 1;
                other += usize::from(one.verdict != there.verdict);
                text += &outcome(one, there, with_numbers);
            }
            None => text += &format!("{}  only in A\n", one.id),
        }
    }
    for there in &b.experiments {
        if !a.experiments.iter().any(|one| one.id == there.id) {
            text += &format!("{}  only in B\n", there.id);
        }
    }
    text + &format!(
        "{both} experiments in both: {} with the same verdict, {other} with another\n",
        both - other
    )
}

fn settings(a: &Document, b: &Document) -> String {
    let none = || "unknown".to_owned();
    let mut names: Vec<&String> = a.host.settings.keys().chain(b.host.settings.keys()).collect();
    names.sort();
    names.dedup();
    let values = |name| (a.host.settings.get(name).cloned(), b.host.settings.get(name).cloned());
    names
        .into_iter()
        .map(|name| (name, values(name)))
        .filter(|(_, (here, there))| here != there)
        .map(|(name, (here, there))| {
            format!("   {name}  {} | {}\n", here.unwrap_or_else(none), there.unwrap_or_else(none))
        })
        .collect()
}

/// Nothing when nothing differs.
fn outcome(a: &Outcome, b: &Outcome, with_numbers: bool) -> String {
    let mut lines = String::new();
    if a.verdict != b.verdict {
        let why = |one: &Outcome| one.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        lines += &format!("     {}{} | {}{}\n", a.verdict, why(a), b.verdict, why(b));
    }
    let seen = |one: &Outcome| -> Vec<(String, String)> {
        let value = |seen: &Observation| match seen.held {
            true => "as claimed".to_owned(),
            false => seen.observed.clone(),
        };
        one.observed.iter().map(|seen| (seen.what.clone(), value(seen))).collect()
    };
    lines += &pairs(&seen(a), &seen(b));
    if with_numbers {
        let numbers = |one: &Outcome| -> Vec<(String, String)> {
            one.numbers.iter().map(|number| (number.name.clone(), number.value.clone())).collect()
        };
        lines += &pairs(&numbers(a), &numbers(b));
    }
    if lines.is_empty() { lines } else { format!("{}  {}\n{lines}", a.id, a.title) }
}

/// What differs between two lists of names and values, place by place.
fn pairs(a: &[(String, String)], b: &[(String, String)]) -> String {
    let mut text = String::new();
    for place in 0..a.len().max(b.len()) {
        let value = |list: &[(String, String)], name: &str| {
            let found = list.get(place).filter(|(own, _)| own == name);
            found.map_or_else(|| "not observed".to_owned(), |(_, value)| value.clone())
        };
        let mut names: Vec<&String> =
            [a, b].iter().filter_map(|list| list.get(place)).map(|(name, _)| name).collect();
        names.dedup();
        for name in names {
            let (here, there) = (value(a, name), value(b, name));
            // A name's other half may stand at another place; what is the same in all is not worth a line.
            if here != there {
                text += &format!("     {name}: {here} | {there}\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[(&str, &str)]) -> Vec<(String, String)> {
        items.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_what_differs_is_said() {
        let a = list(&[("x", "1"), ("y", "2"), ("y", "2")]);
        assert_eq!(pairs(&a, &a), "");
        let b = list(&[("x", "1"), ("y", "3")]);
        assert_eq!(pairs(&a, &b), "     y: 2 | 3\n     y: 2 | not observed\n");
    }
}
