//! What may be run: named programs, with the arguments that belong to the name and those a client may add; or, for the
//! lesson, whatever a shell makes of a text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::shown;
use super::words::split_words;

/// Arguments a client may give at most, whatever is accepted.
const MAX_ARGUMENTS: usize = 64;

/// Whether a client may give this argument.
pub type Accept = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What may be run.
#[derive(Debug)]
pub enum Commands {
    /// These, by name.
    Named(BTreeMap<String, Entry>),
    /// Everything: a text goes to `/bin/sh -c`. Whoever can connect can do whatever the server can.
    Shell,
}

/// A named command.
#[derive(Clone)]
pub struct Entry {
    /// The program's file, absolute.
    pub program: PathBuf,
    /// The arguments that always come first.
    pub arguments: Vec<OsString>,
    /// What a client may add: its first argument is for the first of these, and there is none without one.
    pub accepts: Vec<Accept>,
    /// How many a client must add at least.
    pub required: usize,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("accepts", &self.accepts.len())
            .finish_non_exhaustive()
    }
}

impl Commands {
    /// The program and all its arguments for a request in words, of which the first is the name.
    pub(super) fn resolve(&self, words: &[&[u8]]) -> Result<(PathBuf, Vec<OsString>), String> {
        let Self::Named(entries) = self else { return shell(&words.join(&b' ')) };
        let (name, given) = words.split_first().ok_or("no command was named")?;
        let entry = std::str::from_utf8(name).ok().and_then(|name| entries.get(name));
        let entry = entry.ok_or_else(|| format!("unknown command '{}'", shown(name)))?;
        entry.resolve(name, given)
    }

    /// The same for a text.
    pub(super) fn resolve_text(&self, text: &[u8]) -> Result<(PathBuf, Vec<OsString>), String> {
        if let Self::Shell = self {
            return shell(text);
        }
        let words = split_words(text)?;
        self.resolve(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

impl Entry {
    fn resolve(&self, name: &[u8], given: &[&[u8]]) -> Result<(PathBuf, Vec<OsString>), String> {
        let (name, most) = (shown(name), self.accepts.len().min(MAX_ARGUMENTS));
        if given.len() > most {
            return Err(match most {
                0 => format!("'{name}' takes no arguments"),
                _ => format!("'{name}' takes at most {most} arguments"),
            });
        }
        if given.len() < self.required {
            return Err(format!("'{name}' takes at least {} arguments", self.required));
        }
        for (at, (argument, accept)) in given.iter().zip(&self.accepts).enumerate() {
            if argument.contains(&0) || !accept(argument) {
                return Err(format!(
                    "'{name}' does not accept '{}' as its argument {}",
                    shown(argument),
                    at + 1
                ));
            }
        }
        let given = given.iter().map(|argument| OsString::from_vec(argument.to_vec()));
        Ok((self.program.clone(), self.arguments.iter().cloned().chain(given).collect()))
    }
}

fn shell(text: &[u8]) -> Result<(PathBuf, Vec<OsString>), String> {
    if text.contains(&0) {
        return Err("a NUL cannot be part of a command".to_owned());
    }
    if text.is_empty() {
        return Err("no command was named".to_owned());
    }
    Ok(("/bin/sh".into(), vec!["-c".into(), OsString::from_vec(text.to_vec())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Commands {
        let digits: Accept =
            Arc::new(|argument| !argument.is_empty() && argument.iter().all(u8::is_ascii_digit));
        let date = Entry {
            program: "/bin/date".into(),
            arguments: vec!["-u".into()],
            accepts: Vec::new(),
            required: 0,
        };
        let kill = Entry { accepts: vec![digits.clone(), digits], required: 1, ..date.clone() };
        Commands::Named([("date".to_owned(), date), ("kill".to_owned(), kill)].into())
    }

    #[test]
    fn a_name_stands_for_its_program_and_what_it_accepts_follows() {
        let (program, arguments) = commands().resolve(&[b"date"]).unwrap();
        assert_eq!((program, arguments), ("/bin/date".into(), vec!["-u".into()]));
        let (_, arguments) = commands().resolve_text(b" kill '1' 22\n").unwrap();
        assert_eq!(arguments, ["-u", "1", "22"]);
    }

    #[test]
    fn everything_else_is_refused_and_named() {
        for (words, expected) in [
            (&[][..], "no command"),
            (&[&b"ls"[..]], "unknown command 'ls'"),
            (&[b"../date\x1b"], r"unknown command '../date\x1b'"),
            (&[b"date", b"-s"], "takes no arguments"),
            (&[b"kill"], "at least 1"),
            (&[b"kill", b"1", b"2", b"3"], "at most 2"),
            (&[b"kill", b"1", b"-9"], "'-9' as its argument 2"),
            (&[b"kill", b""], "'' as its argument 1"),
        ] {
            let error = commands().resolve(words).unwrap_err();
            assert!(error.contains(expected), "{words:?}: {error}");
        }
        assert!(commands().resolve_text(b"date; ls").unwrap_err().contains("unknown command 'date;'"));
    }

    #[test]
    fn a_shell_gets_the_whole_text() {
        let (program, arguments) = Commands::Shell.resolve_text(b"ls | wc").unwrap();
        assert_eq!((program, arguments), ("/bin/sh".into(), vec!["-c".into(), "ls | wc".into()]));
        assert_eq!(Commands::Shell.resolve(&[b"ls", b"-l"]).unwrap().1, ["-c", "ls -l"]);
        assert!(Commands::Shell.resolve_text(b"a\0b").is_err());
    }
}
