//! Child processes of our own: this program started again, told what to do, listened to, and never left behind.
//!
//! A [`Fleet`] is the parent's side. Each child is started with the option [`OPTION`], whose value is its [`Ticket`], and with a
//! socket for standard input: lines go both ways on it, so that standard output stays the user's. [`Ticket::join`] is the
//! child's side.
//!
//! How nobody is left behind, and nobody hears a signal twice:
//! - A child asks the kernel to be killed when its parent dies (prctl(2), PR_SET_PDEATHSIG), and then looks whether that
//!   has happened already.
//! - Each child is a process group of its own: a terminal's Ctrl-C reaches the parent only, which passes it on.
//! - A fleet that is dropped kills and reaps those who still live.

mod child;
mod ticket;

pub use self::ticket::{OPTION, Orders, Reports, Ticket};

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::process::Signal;

use self::child::Child;

/// What a fleet's owner has to hear about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A child has sent a line.
    Said {
        /// Which one.
        member: usize,
        /// Without its line end.
        line: String,
    },
    /// A child has ended, and was reaped. The last news of it.
    Ended {
        /// Which one.
        member: usize,
        /// How.
        status: ExitStatus,
    },
    /// Somebody has put a signal's number in with a [`Courier`].
    Signal(i32),
}

/// Puts signals among the news, from another thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Courier(Sender<News>);

impl Courier {
    /// Tells the fleet's owner of a signal; `false` when the fleet is gone.
    #[must_use]
    pub fn signal(&self, signal: i32) -> bool {
        self.0.send(News::Signal(signal)).is_ok()
    }
}

/// Child processes, numbered from 0 in the order in which they were started.
///
/// To be kept by the thread that starts them, and that thread must live as long as they should: for the kernel it is the parent.
#[derive(Debug)]
pub struct Fleet {
    children: Vec<Child>,
    news: Receiver<News>,
    tell: Sender<News>,
}

impl Fleet {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        let (tell, news) = channel();
        Self { children: Vec::new(), news, tell }
    }

    /// A way to put signals among the news.
    #[must_use]
    pub fn courier(&self) -> Courier {
        Courier(self.tell.clone())
    }

    /// Starts this program once more with `arguments`, behind [`OPTION`] and its ticket, and says which number it has.
    ///
    /// # Errors
    /// No process, descriptor or thread is to be had (fork(2), socketpair(2), pthread_create(3)).
    pub fn start(&mut self, arguments: &[OsString]) -> io::Result<usize> {
        let number = self.children.len();
        self.children.push(Child::start(number, arguments, self.tell.clone())?);
        Ok(number)
    }

    /// Sends a line to a child.
    ///
    /// # Errors
    /// It has ended (its end is among the news too), or has not listened for five seconds.
    pub fn say(&self, member: usize, line: &str) -> io::Result<()> {
        self.children[member].say(line)
    }

    /// Sends a signal to every child that lives.
    pub fn signal(&self, signal: Signal) {
        for child in &self.children {
            child.signal(signal);
        }
    }

    /// The next news, waiting for it at most so long; `None` when there was none.
    pub fn next(&mut self, at_most: Option<Duration>) -> Option<News> {
        let news = match at_most {
            // This end of the channel has a sender of its own, so that it is never closed.
            None => self.news.recv().ok(),
            Some(time) => self.news.recv_timeout(time).ok(),
        };
        if let Some(News::Ended { member, .. }) = news {
            self.children[member].ended = true;
        }
        news
    }

    /// How many were started.
    #[must_use]
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether none was started.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// How many have not been reported as ended.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.children.iter().filter(|child| !child.ended).count()
    }

    /// The process numbers of those that have not been reported as ended.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().filter(|child| !child.ended).map(Child::pid).collect()
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}
