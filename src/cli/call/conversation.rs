//! The order of things: what the server says first, one message and its reply after the other, the end.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::messages::{Lines, Messages};
use super::printer::Printer;
use super::stop::Stop;

/// So long nothing arrives behind a reply that has no end of its own.
pub(super) const QUIET: Duration = Duration::from_millis(20);

/// How many pieces are printed before the next message is sent all the same: some servers never stop talking.
const BEFORE_NEXT: usize = 64;

/// Where replies go.
pub(super) type Output = Printer<io::StdoutLock<'static>>;

/// Whether the server still listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Open,
    Closed,
}

/// What had already arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    Nothing,
    Printed,
    Closed,
}

/// The other side of the conversation: a stream or datagrams.
pub(super) trait Exchange: AsFd {
    /// Prints what the server says first.
    fn greet(&mut self, out: &mut Output) -> Result<Line, Stop>;
    /// Prints one piece of what is there, without waiting.
    fn drain_once(&mut self, out: &mut Output) -> Result<Drained, Stop>;
    /// Sends a message and prints its reply. Behind the last message more of the reply may follow.
    fn ask(&mut self, message: &[u8], is_last: bool, out: &mut Output) -> Result<Line, Stop>;
    /// Ends our side and prints what still comes.
    fn end(&mut self, out: &mut Output) -> Result<(), Stop>;
    /// How errors call the server.
    fn name(&self) -> String;
}

/// Holds the whole conversation.
pub(super) fn converse(
    server: &mut dyn Exchange,
    messages: &mut Messages,
    out: &mut Output,
) -> Result<(), Stop> {
    let mut line = server.greet(out)?;
    let (mut asked, mut held) = (0, 0);
    while line == Line::Open {
        let next = match messages {
            Messages::Given(given) => given.next().map_or(Next::Over, Next::Message),
            Messages::Typed(lines) => next_line(lines, server, out)?,
        };
        line = match next {
            Next::Over => return server.end(out),
            Next::Closed => Line::Closed,
            Next::Message(message) if before_next(server, out)? == Line::Open => {
                asked += 1;
                server.ask(&message, messages.is_over(), out)?
            }
            Next::Message(_) => {
                held = 1;
                Line::Closed
            }
        };
    }
    // When nothing is left it has heard everything we had to say.
    let left = held + messages.left()?;
    if left == 0 {
        return Ok(());
    }
    // Of standard input only what is there already is counted: the rest may never come.
    let least = if messages.may_grow() { "at least " } else { "" };
    let (name, total) = (server.name(), left + asked);
    Err(Stop::failed(format!(
        "{name} closed the connection; {least}{left} of {total} messages were not sent"
    )))
}

/// What a wait for standard input ended with.
enum Next {
    Message(Vec<u8>),
    /// There are no more messages.
    Over,
    /// The server ended the connection first.
    Closed,
}

/// The next line of standard input. What the server says meanwhile is printed as it comes.
fn next_line(lines: &mut Lines, server: &mut dyn Exchange, out: &mut Output) -> Result<Next, Stop> {
    loop {
        if let Some(line) = lines.next()? {
            return Ok(Next::Message(line));
        }
        if lines.is_over() {
            return Ok(Next::Over);
        }
        let drained = server.drain_once(out)?;
        let limit = match drained {
            Drained::Closed => return Ok(Next::Closed),
            // More of it may be in our own buffer, of which a poll knows nothing.
            Drained::Printed => Some(Duration::ZERO),
            Drained::Nothing if out.is_open() => Some(QUIET),
            Drained::Nothing => None,
        };
        match limit {
            None => lines.prompt(),
            Some(_) => lines.unprompt(),
        }
        let (typed, said) = lines.wait(Some(server.as_fd()), limit)?;
        if typed {
            lines.fill()?;
        } else if !said && limit == Some(QUIET) {
            out.end()?;
        }
    }
}

/// Prints what has arrived since the last reply: it is none to the next message.
fn before_next(server: &mut dyn Exchange, out: &mut Output) -> Result<Line, Stop> {
    for _ in 0..BEFORE_NEXT {
        match server.drain_once(out)? {
            Drained::Printed => {}
            Drained::Nothing => break,
            Drained::Closed => return Ok(Line::Closed),
        }
    }
    out.end()?;
    Ok(Line::Open)
}
