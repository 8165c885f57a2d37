//! The file of `--allow-file`: a table per command, with what a client may add.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use regex_lite::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::named;
use crate::services::{Accept, Entry};

/// A file larger than this is not what somebody wrote.
const MAX_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    command: BTreeMap<Spanned<String>, Command>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    run: Spanned<Vec<String>>,
    #[serde(default)]
    accept: Vec<Spanned<String>>,
    required: Option<Spanned<usize>>,
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, is no TOML, or says what makes no sense; with the line.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Entry)>, String> {
    let shown = path.display();
    let size = path.metadata().map(|found| found.len()).unwrap_or(0);
    if size > MAX_FILE {
        return Err(format!("'--allow-file {shown}' has {size} bytes; expected at most {MAX_FILE}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("'--allow-file {shown}': {error}"))?;
    parse(&text).map_err(|(line, what)| format!("'--allow-file {shown}', line {line}: {what}"))
}

type Wrong = (usize, String);

fn parse(text: &str) -> Result<Vec<(String, Entry)>, Wrong> {
    let line_of = |span: Option<Range<usize>>| {
        let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
        1 + before.matches('\n').count()
    };
    let file: File = toml::from_str(text)
        .map_err(|error| (line_of(error.span()), error.message().trim_end().to_owned()))?;
    if file.command.is_empty() {
        return Err((1, "it names no command; expected a table like [command.date]".to_owned()));
    }
    let wrong = |span: Range<usize>, what: String| (line_of(Some(span)), what);
    file.command
        .into_iter()
        .map(|(name, command)| {
            let span = name.span();
            named::check_name(name.get_ref()).map_err(|what| wrong(span, what))?;
            Ok((name.into_inner(), entry(command).map_err(|(span, what)| wrong(span, what))?))
        })
        .collect()
}

fn entry(command: Command) -> Result<Entry, (Range<usize>, String)> {
    let accepts: Vec<Accept> = command.accept.iter().map(accept).collect::<Result<_, _>>()?;
    let required = command.required.as_ref().map_or(0, |required| *required.get_ref());
    if let Some(wanted) = command.required.filter(|_| required > accepts.len()) {
        let what = format!("required = {required}, but 'accept' has {} patterns", accepts.len());
        return Err((wanted.span(), what));
    }
    let span = command.run.span();
    let words = command.run.into_inner().into_iter().map(OsString::from).collect();
    named::entry(words, accepts, required).map_err(|what| (span, what))
}

/// A pattern is about the whole argument.
fn accept(pattern: &Spanned<String>) -> Result<Accept, (Range<usize>, String)> {
    let text = pattern.get_ref();
    let regex = Regex::new(&format!("^(?:{text})$"));
    let regex = regex.map_err(|error| (pattern.span(), format!("'{text}' is no pattern: {error}")))?;
    Ok(Arc::new(move |argument| {
        // `$` must not let a last line end pass.
        let text = std::str::from_utf8(argument).ok().filter(|text| !text.contains('\n'));
        text.is_some_and(|text| regex.is_match(text))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_per_command() {
        let text = "[command.date]\nrun = ['/bin/date', '-u']\n\n[command.log]\nrun = ['/bin/echo']\n\
                    accept = ['[a-z]+', '-[nq]|x']\nrequired = 1\n";
        let mut entries = parse(text).unwrap();
        let (name, log) = entries.pop().unwrap();
        assert_eq!((name.as_str(), log.required, log.accepts.len()), ("log", 1, 2));
        for (argument, first, second) in [
            ("abc", true, false),
            ("-n", false, true),
            ("xx", true, false),
            ("abc\n", false, false),
            ("", false, false),
        ] {
            let accepted = (log.accepts[0](argument.as_bytes()), log.accepts[1](argument.as_bytes()));
            assert_eq!(accepted, (first, second), "{argument:?}");
        }
        assert!(!log.accepts[0](b"a\xff"));
        assert_eq!(entries.pop().unwrap().1.arguments, ["-u"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, expected) in [
            ("", 1, "missing field `command`"),
            ("[command]\n", 1, "names no command"),
            ("[command.a]\nrun = [\n", 2, ""),
            ("[command.a]\n", 1, "run"),
            ("[command.a]\nrun = ['/bin/echo']\nshell = true\n", 3, "shell"),
            ("[command.a]\nrun = ['echo']\n", 2, "absolute"),
            ("[command.a]\nrun = []\n", 2, "no program"),
            ("\n[command.'a b']\nrun = ['/bin/echo']\n", 2, "not one word"),
            ("[command.a]\nrun = ['/bin/echo']\naccept = [\n  'a',\n  '(',\n]\n", 5, "'(' is no pattern"),
            ("[command.a]\nrun = ['/bin/echo']\naccept = ['a']\nrequired = 2\n", 4, "has 1 patterns"),
        ] {
            let (at, what) = parse(text).unwrap_err();
            assert!(at == line && what.contains(expected), "{text}: line {at}: {what}");
        }
    }
}
