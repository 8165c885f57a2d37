//! A Python process that is handed one of our sockets and does with it what it is told.
//!
//! It shows what Python's own calls do, and makes calls that no safe crate offers: options set there are set on the same socket,
//! because a descriptor that is handed over is another name of the same open file description.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::wait::DEADLINE;

/// Evaluates each line it is sent and answers with one: the value's repr, or the name of the error. Standard input is the
/// socket, `s`; standard output is a Unix socket to us, used in both directions.
const SERVE: &str = "
import errno, os, select, socket, struct, time
s = socket.socket(fileno=0)
orders, answers = os.fdopen(os.dup(1), 'r'), os.fdopen(1, 'w')
names = dict(globals())
def name(e):
    return errno.errorcode[e.errno] if e.errno in errno.errorcode else type(e).__name__ + ' without errno'
for line in orders:
    try:
        try:
            answer = repr(eval(line, names))
        except SyntaxError:
            exec(line, names)
            answer = 'None'
    except OSError as e:
        answer = name(e)
    except Exception as e:
        answer = type(e).__name__ + ': ' + str(e)
    answers.write(answer.replace('\\n', ' ') + '\\n')
    answers.flush()
os._exit(0)
";

/// The process. It ends when this is dropped.
#[derive(Debug)]
pub struct Python {
    child: Child,
    link: BufReader<UnixStream>,
}

/// The interpreter: Debian's own first, because those of version managers take ten times as long to begin.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from("/usr/bin")).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("python3")).find(|program| program.is_file())
}

impl Python {
    /// Starts one whose `s` is `socket`.
    ///
    /// # Errors
    /// There is no python3, or it cannot be started. Say [`super::super::Need::Python`], and there is one.
    pub fn with(socket: impl AsFd) -> io::Result<Self> {
        let program = find().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no python3"))?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(DEADLINE))?;
        ours.set_write_timeout(Some(DEADLINE))?;
        let child = Command::new(program)
            .args(["-I", "-S", "-c", SERVE])
            .stdin(socket.as_fd().try_clone_to_owned()?)
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null())
            .spawn()?;
        let mut python = Self { child, link: BufReader::new(ours) };
        python.ask("None")?;
        Ok(python)
    }

    /// Has it evaluate an expression or execute a statement of one line: the value's repr, the name of an `OSError`'s errno
    /// (`EAGAIN`), or the type of an exception that has none (`TimeoutError without errno`).
    ///
    /// # Errors
    /// It has ended, or does not answer in time.
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        self.tell(line)?;
        self.answer()
    }

    /// The first half of [`Self::ask`], for a call that waits.
    ///
    /// # Errors
    /// It has ended.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        self.link.get_mut().write_all(format!("{line}\n").as_bytes())
    }

    /// The second half.
    ///
    /// # Errors
    /// It has ended, or does not answer in time.
    pub fn answer(&mut self) -> io::Result<String> {
        let mut answer = String::new();
        match self.link.read_line(&mut answer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "python3 has ended")),
            Ok(_) => Ok(answer.trim_end_matches('\n').to_owned()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Both fail only for a process that was reaped before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
