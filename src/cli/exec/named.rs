//! One named command as the operator gives it, checked: a program that is there, and words that are arguments.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::services::{Accept, Entry, split_words};

/// Parses `NAME=PROGRAM ARG…`.
///
/// # Errors
/// What is wrong with it, and what would be accepted.
pub(super) fn parse(text: &str) -> Result<(String, Entry), String> {
    let wrong =
        |what: &str| format!("'--allow {text}': {what}; expected NAME=PROGRAM ARG…, as in date=/bin/date");
    let (name, command) = text.split_once('=').ok_or_else(|| wrong("no '='"))?;
    check_name(name).map_err(|what| wrong(&what))?;
    let words = split_words(command.as_bytes()).map_err(wrong)?;
    let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
    let entry = entry(words, Vec::new(), 0).map_err(|what| wrong(&what))?;
    Ok((name.to_owned(), entry))
}

/// An entry of these words, of which the first is the program.
pub(super) fn entry(words: Vec<OsString>, accepts: Vec<Accept>, required: usize) -> Result<Entry, String> {
    let mut words = words.into_iter();
    let program = PathBuf::from(words.next().ok_or("no program")?);
    check_program(&program)?;
    Ok(Entry { program, arguments: words.collect(), accepts, required })
}

/// A name is one word for every client.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_word = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '\'' | '"' | '\\');
    if !name.is_empty() && name.chars().all(is_word) {
        return Ok(());
    }
    Err(format!("the name '{}' is not one word", name.escape_debug()))
}

fn check_program(program: &Path) -> Result<(), String> {
    let shown = program.display();
    if !program.is_absolute() {
        return Err(format!("'{shown}' is not an absolute path"));
    }
    let found = program.metadata().map_err(|error| format!("'{shown}': {error}"))?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        return Err(format!("'{shown}' is not a program: it must be a file that may be executed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_program_and_its_arguments() {
        let (name, entry) = parse("say=/bin/echo 'two words' -n").unwrap();
        assert_eq!((name.as_str(), entry.program.to_str()), ("say", Some("/bin/echo")));
        assert_eq!(entry.arguments, ["two words", "-n"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("date", "no '='"),
            ("=/bin/date", "the name ''"),
            ("a b=/bin/date", "the name 'a b'"),
            ("x=", "no program"),
            ("x=date", "'date' is not an absolute path"),
            ("x=/no/such", "'/no/such': No such file"),
            ("x=/etc/passwd", "may be executed"),
            ("x=/bin", "may be executed"),
            ("x=/bin/echo 'a", "a quote without its end"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
