//! One request and its answer, read piece by piece with a deadline.

use std::time::{Duration, Instant};

use super::Options;
use super::stop::{Signals, Stop};
use crate::client::{Client, ClientErrorKind, ConnectOptions};
use crate::codec::Raw;
use crate::http::{ClientRequest, Field, Part, ResponseReader, Url, for_each_field};
use crate::os::resolve::{Host, Target};

/// How often a signal is looked for.
const SLICE: Duration = Duration::from_millis(100);

/// Fields that are for one host only.
const PRIVATE: [&str; 4] = ["authorization", "cookie", "host", "proxy-authorization"];

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    /// As it came.
    pub(super) head: Vec<u8>,
}

/// A connection on which one answer comes.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    url: Url,
    client: Client,
    reader: ResponseReader,
    /// What has come and is not read yet begins at `start`.
    kept: Vec<u8>,
    start: usize,
    ended: bool,
    timeout: Duration,
    signals: &'a Signals,
}

impl<'a> Answer<'a> {
    /// Connects and asks for `url`, which the user asked for or was redirected to.
    pub(super) fn ask(url: &Url, options: &Options, signals: &'a Signals) -> Result<Self, Stop> {
        let target = Target::Tcp(Host { name: url.host().to_owned(), port: url.port() });
        let connect = ConnectOptions { limit: options.connect_timeout, bind: None };
        let mut client = Client::connect(&target, Raw, &connect)?;
        signals.check()?;
        let is_same = url.authority() == options.url.authority();
        let fields: Vec<Field> =
            options.headers.iter().filter(|field| is_same || !is_private(field)).cloned().collect();
        let method = if options.head { "HEAD" } else { "GET" };
        let request = ClientRequest { method, url, fields: &fields, body: None, keep_alive: false };
        client.queue(&request.to_bytes())?;
        Ok(Self {
            url: url.clone(),
            client,
            reader: ResponseReader::new(options.head),
            kept: Vec::new(),
            start: 0,
            ended: false,
            timeout: options.timeout,
            signals,
        })
    }

    /// Waits for the head.
    pub(super) fn head(&mut self) -> Result<Reply, Stop> {
        let until = Instant::now() + self.timeout;
        loop {
            match self.reader.read(&self.kept).map_err(|error| self.refused(&error))? {
                Part::Head(head) => {
                    self.start = head.end;
                    return self.reply(self.kept[head].to_vec());
                }
                _ if self.ended => {
                    self.reader.read_end().map_err(|error| self.refused(&error))?;
                    return Err(Stop::Failed(format!(
                        "{}: the connection ended without an answer",
                        self.url
                    )));
                }
                _ => self.more(until, "all headers")?,
            }
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(super) fn piece(&mut self) -> Result<Option<&[u8]>, Stop> {
        loop {
            let part = self.reader.read(&self.kept[self.start..]).map_err(|error| self.refused(&error))?;
            match part {
                Part::Body(piece) => {
                    let (from, to) = (self.start + piece.start, self.start + piece.end);
                    self.start = to;
                    if from < to {
                        return Ok(Some(&self.kept[from..to]));
                    }
                }
                Part::Done => return Ok(None),
                Part::Head(_) | Part::NeedMore if self.ended => {
                    self.reader.read_end().map_err(|error| self.refused(&error))?;
                    return Ok(None);
                }
                Part::Head(_) | Part::NeedMore => {
                    self.kept.drain(..self.start);
                    self.start = 0;
                    self.more(Instant::now() + self.timeout, "more of the body")?;
                }
            }
        }
    }

    /// The length of the body, where the head has said it.
    pub(super) const fn length(&self) -> Option<u64> {
        match self.reader.facts().ends {
            crate::http::Ends::Length(length) => Some(length),
            _ => None,
        }
    }

    fn reply(&self, head: Vec<u8>) -> Result<Reply, Stop> {
        let mut fields = Vec::new();
        let reason = for_each_field(&head, |name, value| fields.push((name.to_owned(), value.to_vec())))
            .map_err(|error| self.refused(&error))?;
        Ok(Reply { url: self.url.clone(), status: self.reader.facts().status, reason, fields, head })
    }

    /// Waits for bytes, or for the end.
    fn more(&mut self, until: Instant, what: &str) -> Result<(), Stop> {
        loop {
            self.signals.check()?;
            let left = until.saturating_duration_since(Instant::now());
            match self.client.receive(SLICE.min(left)) {
                Ok(Some(bytes)) => self.kept.extend_from_slice(bytes),
                Ok(None) => self.ended = true,
                Err(error) if is_late(error.kind()) => {
                    if !left.is_zero() {
                        continue;
                    }
                    let (url, timeout) = (&self.url, self.timeout);
                    return Err(Stop::Failed(format!(
                        "{url}: {what} did not come within {timeout:?} (--timeout waits longer)"
                    )));
                }
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
    }

    fn refused(&self, error: &crate::http::ResponseError) -> Stop {
        Stop::Failed(format!("{}: {error}", self.url))
    }
}

impl Reply {
    /// Where the answer sends its reader, as a reference; bytes beyond ASCII and blanks are escaped, as browsers do.
    pub(super) fn location(&self) -> Option<String> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let (_, value) = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"))?;
        Some(value.iter().fold(String::new(), |text, byte| match byte {
            b' ' | 0x7f.. => format!("{text}%{byte:02X}"),
            byte => text + &char::from(*byte).to_string(),
        }))
    }
}

fn is_private(field: &Field) -> bool {
    PRIVATE.iter().any(|name| field.name().eq_ignore_ascii_case(name))
}

/// A slice of the wait is over: with everything sent nothing has come, or a stalled peer has taken nothing.
const fn is_late(kind: &ClientErrorKind) -> bool {
    matches!(kind, ClientErrorKind::NoReply { .. })
}
