//! What the kernel did with the bytes of a connection: in how many segments they left, and how many have not (TCP_INFO, tcp(7)).
//!
//! No safe crate reads this option, so Python does, on a duplicate of the socket.

use std::io;
use std::os::fd::AsFd;

use super::python::Python;

/// Of `struct tcp_info`, <linux/tcp.h>: where its fields are, all of 32 bits.
const TOTAL_RETRANSMITS: u32 = 100;
const NOT_SENT_BYTES: u32 = 144;
const DATA_SEGMENTS_OUT: u32 = 156;

/// Reads one socket's TCP_INFO whenever it is asked.
#[derive(Debug)]
pub struct TcpInfo(Python);

impl TcpInfo {
    /// For `socket`. Say [`super::super::Need::Python`].
    ///
    /// # Errors
    /// Python cannot be started.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let mut python = Python::with(socket)?;
        python
            .ask("info = lambda at: struct.unpack_from('I', s.getsockopt(6, socket.TCP_INFO, 192), at)[0]")?;
        Ok(Self(python))
    }

    /// How many segments with data it has sent, those sent again left out.
    ///
    /// # Errors
    /// Python has ended, or answers something else than a number.
    pub fn segments(&mut self) -> io::Result<u64> {
        self.ask(&format!("info({DATA_SEGMENTS_OUT}) - info({TOTAL_RETRANSMITS})"))
    }

    /// How many bytes were taken from the program and have not left.
    ///
    /// # Errors
    /// Python has ended, or answers something else than a number.
    pub fn unsent(&mut self) -> io::Result<u64> {
        self.ask(&format!("info({NOT_SENT_BYTES})"))
    }

    fn ask(&mut self, question: &str) -> io::Result<u64> {
        let answer = self.0.ask(question)?;
        answer.parse().map_err(|_| io::Error::other(format!("TCP_INFO: Python answers {answer}")))
    }
}
