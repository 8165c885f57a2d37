//! Where the body goes. A file appears under its name only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, StdoutLock, Write};
use std::path::{Path, PathBuf};

use super::stop::Stop;

/// See the module.
#[derive(Debug)]
pub(super) enum Sink {
    Stdout(StdoutLock<'static>),
    /// A file that is to be replaced or made.
    File(Partial),
    /// A device, a pipe: written as it comes.
    Device(PathBuf, File),
    /// Nobody wants it.
    Nowhere,
}

/// A file under another name, which is removed unless it was kept.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    at: PathBuf,
    /// Where it goes, all links followed.
    to: PathBuf,
    kept: bool,
}

impl Sink {
    /// Opens what the user has named; `None` and `-` are standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Stop> {
        match path {
            None => Ok(Self::Stdout(io::stdout().lock())),
            Some(path) if path == Path::new("-") => Ok(Self::Stdout(io::stdout().lock())),
            Some(path) => Self::of_path(path).map_err(|error| unwritten(path, &error)),
        }
    }

    fn of_path(path: &Path) -> io::Result<Self> {
        // What a link leads to is replaced, not the link; and nothing that is no file is.
        let to = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&to) {
            Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(&to)?;
                Ok(Self::Device(path.to_owned(), file))
            }
            there => Partial::create(to, there.ok()).map(Self::File),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match self {
            Self::Stdout(out) => out.write_all(bytes).map_err(|error| Stop::of_stdout(&error)),
            Self::File(partial) => {
                partial.file.write_all(bytes).map_err(|error| unwritten(&partial.to, &error))
            }
            Self::Device(path, file) => file.write_all(bytes).map_err(|error| unwritten(path, &error)),
            Self::Nowhere => Ok(()),
        }
    }

    /// Everything has come.
    pub(super) fn finish(self) -> Result<(), Stop> {
        match self {
            Self::Stdout(mut out) => out.flush().map_err(|error| Stop::of_stdout(&error)),
            Self::File(mut partial) => partial.keep().map_err(|error| unwritten(&partial.to, &error)),
            Self::Device(..) | Self::Nowhere => Ok(()),
        }
    }
}

impl Partial {
    /// Makes a new file beside the one it will replace, with the permissions of that one.
    fn create(to: PathBuf, old: Option<fs::Metadata>) -> io::Result<Self> {
        let name = to.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let mut number = 0;
        loop {
            let at = to.with_file_name(format!(".{name}.{}-{number}.part", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&at) {
                Ok(file) => {
                    let partial = Self { file, at, to, kept: false };
                    if let Some(old) = old {
                        partial.file.set_permissions(old.permissions())?;
                    }
                    return Ok(partial);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// On the disk first, then under its name: after a crash there is the old file or the whole new one.
    fn keep(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.at, &self.to)?;
        self.kept = true;
        let folder = self.to.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Not every file system can; the file itself is safe.
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left to be told; its name says that it is a part.
            let _ = fs::remove_file(&self.at);
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Stop {
    Stop::Failed(format!("cannot write '{}': {error}; nothing was written", path.display()))
}
