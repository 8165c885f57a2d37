//! Which experiments are meant.

use crate::lab::{Entry, GROUPS, SELF_TEST, all, find};

/// How many are named when none fits.
const NEAR: usize = 4;

/// Those named by IDs and groups, in the catalogue's order, each once; all when nothing is named.
///
/// # Errors
/// A name that is none; says which are near. A selection that is empty.
pub(super) fn entries(which: &[String], core_only: bool) -> Result<Vec<Entry>, String> {
    let mut wanted = Vec::new();
    for word in which {
        match GROUPS.iter().find(|group| is_name(group.name, group.letter, word)) {
            Some(group) => wanted.extend(group.experiments().iter().map(|entry| entry.experiment.id)),
            None => wanted.push(one(word)?.experiment.id),
        }
    }
    let is_wanted = |entry: &Entry| {
        (which.is_empty() || wanted.contains(&entry.experiment.id)) && (entry.experiment.core || !core_only)
    };
    let unlisted = SELF_TEST.experiments().into_iter().filter(|entry| wanted.contains(&entry.experiment.id));
    let found: Vec<Entry> = all().filter(is_wanted).chain(unlisted).collect();
    if found.is_empty() {
        return Err("none of these experiments is core; leave out '--core'".to_owned());
    }
    Ok(found)
}

fn is_name(name: &str, letter: char, word: &str) -> bool {
    word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(letter.encode_utf8(&mut [0; 4]))
}

/// The one with this ID.
///
/// # Errors
/// There is none; says which are near.
pub(super) fn one(id: &str) -> Result<Entry, String> {
    find(id).ok_or_else(|| format!("there is no experiment '{}'; {}", id.escape_default(), near(id)))
}

fn near(id: &str) -> String {
    let letter = id.chars().next().map(|letter| letter.to_ascii_uppercase());
    let number = |id: &str| id.get(1..).and_then(|rest| rest.parse::<i32>().ok());
    let group = GROUPS.iter().find(|group| Some(group.letter) == letter).map(|group| group.experiments());
    match (group.filter(|entries| !entries.is_empty()), number(id)) {
        (Some(mut entries), Some(wanted)) => {
            let distance = |id: &str| {
                number(id).map_or(i32::MAX, |number| number.saturating_sub(wanted).saturating_abs())
            };
            entries.sort_by_key(|entry| distance(entry.experiment.id));
            let mut ids: Vec<&str> = entries.iter().take(NEAR).map(|entry| entry.experiment.id).collect();
            ids.sort_unstable();
            format!("near it are {}", ids.join(", "))
        }
        _ => {
            let names: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
            format!("an ID is like M05, and the groups are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(which: &[&str], core_only: bool) -> Result<Vec<&'static str>, String> {
        let which: Vec<String> = which.iter().map(|word| (*word).to_owned()).collect();
        Ok(entries(&which, core_only)?.iter().map(|entry| entry.experiment.id).collect())
    }

    #[test]
    fn ids_and_groups_select_in_the_catalogues_order_and_once() {
        assert_eq!(ids(&["m05", "M01", "m01"], false).unwrap(), ["M01", "M05"]);
        let group = ids(&["modes"], false).unwrap();
        assert_eq!(group.len(), 9);
        assert_eq!(ids(&["M", "M03"], false).unwrap(), group);
        assert_eq!(ids(&["modes"], true).unwrap(), ["M01", "M02", "M03", "M05", "M06", "M09"]);
        assert_eq!(ids(&[], false).unwrap().len(), all().count());
    }

    #[test]
    fn what_is_near_is_named() {
        assert!(ids(&["M11"], false).unwrap_err().ends_with("near it are M06, M07, M08, M09"));
        assert!(ids(&["m-99999999999"], false).unwrap_err().contains("the groups are modes, recv"));
        assert!(ids(&["M-2147483648"], false).unwrap_err().contains("near it are M01"));
        assert!(ids(&["M04"], true).unwrap_err().contains("--core"));
        assert!(ids(&["\u{1b}[2J"], false).unwrap_err().contains("\\u{1b}[2J"));
        assert!(ids(&[""], false).is_err());
    }
}
