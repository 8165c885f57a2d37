//! How results are written in the notebook: errors by name, masks by names, bytes as text.
//!
//! What was observed and what was claimed are compared in this form, so that `Err(EAGAIN)` is `"EAGAIN"`, and a count of 4 is 4.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use nix::errno::Errno;
use rustix::event::epoll::EventFlags;
use socket2::Socket;

/// A value as the notebook has it.
pub trait Show {
    /// One line, without anything that differs from run to run where nothing is meant to.
    fn show(&self) -> String;
}

/// The name of an error: `EAGAIN`; of one that the standard library made itself, its kind.
#[must_use]
pub fn error_name(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| format!("{:?}", error.kind()), |raw| format!("{:?}", Errno::from_raw(raw)))
}

/// `IN|RDHUP`; `nothing` when none is set. ET, ONESHOT and EXCLUSIVE are asked for, never reported, and shown too.
#[must_use]
pub fn mask_names(mask: EventFlags) -> String {
    let names: Vec<&str> = mask.iter_names().map(|(name, _)| name).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join("|") }
}

/// `b"abc\n"`; of more than 40 bytes the beginning, and how many there are.
#[must_use]
pub fn bytes(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let shown = &bytes[..bytes.len().min(MOST)];
    let more = if bytes.len() > MOST { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    // As one writes it in a literal: a single quote needs no backslash there.
    format!("b\"{}\"{more}", shown.escape_ascii().to_string().replace("\\'", "'"))
}

/// Errors of the libraries used here.
pub trait ErrorName {
    /// As [`error_name`].
    fn name(&self) -> String;
}

impl<T: Show, E: ErrorName> Show for Result<T, E> {
    fn show(&self) -> String {
        match self {
            Ok(value) => value.show(),
            Err(error) => error.name(),
        }
    }
}

impl ErrorName for io::Error {
    fn name(&self) -> String {
        error_name(self)
    }
}

impl ErrorName for rustix::io::Errno {
    fn name(&self) -> String {
        error_name(&io::Error::from(*self))
    }
}

impl ErrorName for Errno {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "nothing".to_owned(), Show::show)
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn show(&self) -> String {
        (**self).show()
    }
}

impl<A: Show, B: Show> Show for (A, B) {
    fn show(&self) -> String {
        format!("{}, {}", self.0.show(), self.1.show())
    }
}

impl Show for () {
    fn show(&self) -> String {
        "ok".to_owned()
    }
}

impl Show for str {
    fn show(&self) -> String {
        self.to_owned()
    }
}

impl Show for String {
    fn show(&self) -> String {
        self.clone()
    }
}

impl Show for [u8] {
    fn show(&self) -> String {
        bytes(self)
    }
}

impl<const N: usize> Show for [u8; N] {
    fn show(&self) -> String {
        bytes(self)
    }
}

impl Show for Vec<u8> {
    fn show(&self) -> String {
        bytes(self)
    }
}

impl Show for io::Error {
    fn show(&self) -> String {
        error_name(self)
    }
}

impl Show for EventFlags {
    fn show(&self) -> String {
        mask_names(*self)
    }
}

macro_rules! display {
    ($($type:ty),*) => { $(impl Show for $type {
        fn show(&self) -> String {
            self.to_string()
        }
    })* };
}

display!(bool, char, u8, u16, u32, u64, u128, usize, i32, i64, isize, SocketAddr);

macro_rules! named {
    ($($type:ty => $name:literal),*) => { $(impl Show for $type {
        fn show(&self) -> String {
            $name.to_owned()
        }
    })* };
}

// Numbers of descriptors are not shown: they differ from run to run.
named!(
    Socket => "a socket", TcpStream => "a stream", TcpListener => "a listener", UdpSocket => "a socket",
    UnixStream => "a stream", UnixListener => "a listener", UnixDatagram => "a socket", OwnedFd => "a descriptor",
    mio::net::TcpStream => "a stream", mio::net::TcpListener => "a listener", mio::net::UdpSocket => "a socket"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_a_student_would() {
        assert_eq!(Err::<usize, _>(io::Error::from_raw_os_error(11)).show(), "EAGAIN");
        assert_eq!(Err::<usize, _>(rustix::io::Errno::PIPE).show(), "EPIPE");
        assert_eq!(Ok::<usize, io::Error>(4).show(), "4");
        assert_eq!(io::Error::from(io::ErrorKind::WriteZero).show(), "WriteZero");
        assert_eq!(bytes(b"a\r\x00"), "b\"a\\r\\x00\"");
        assert_eq!(bytes(b"I'm"), "b\"I'm\"");
        assert!(bytes(&[b'x'; 50]).ends_with("x\"... (50 bytes)"));
        assert_eq!(mask_names(EventFlags::IN | EventFlags::RDHUP), "IN|RDHUP");
        assert_eq!(mask_names(EventFlags::empty()), "nothing");
    }
}
