//! The requests as bytes, and the head that was read last.

use std::cell::RefCell;

use crate::http::{Facts, ResponseError, parse_head};
use crate::load::plan::{Content, Exchange, Protocol};

/// What the HTTP connections of one thread share.
#[derive(Debug)]
pub(in crate::load) struct Wire {
    /// One for each target; none where the target is no HTTP server.
    requests: Vec<Box<[u8]>>,
    is_head_request: bool,
    /// Whether a connection is used on after an answer.
    pub(super) keep_alive: bool,
    known: RefCell<Known>,
}

/// A head, and what it says. The same bytes say the same: most answers of a server differ in the date, once a second, or not at
/// all, and comparing takes a fraction of the time that parsing does.
#[derive(Debug)]
struct Known {
    head: Vec<u8>,
    facts: Option<Facts>,
}

impl Wire {
    pub(in crate::load) fn new(exchange: &Exchange) -> Self {
        let requests = match &exchange.content {
            Content::Requests(requests) => {
                requests.iter().map(|request| request.bytes.as_slice().into()).collect()
            }
            Content::Pattern(_) | Content::Fixed(_) => Vec::new(),
        };
        let (is_head_request, keep_alive) = match exchange.protocol {
            Protocol::Http { is_head_request, keep_alive } => (is_head_request, keep_alive),
            _ => (false, true),
        };
        let known = RefCell::new(Known { head: Vec::new(), facts: None });
        Self { requests, is_head_request, keep_alive, known }
    }

    /// What this connection asks its target, which are dealt out in turns.
    #[inline]
    pub(super) fn request(&self, number: u32) -> &[u8] {
        match self.requests.as_slice() {
            [only] => only,
            [] => &[],
            several => &several[number as usize % several.len()],
        }
    }

    /// What the head at the front of `input` says, and its length; `None` while it is unfinished.
    #[inline]
    pub(super) fn read_head(&self, input: &[u8]) -> Result<Option<(Facts, usize)>, ResponseError> {
        let known = self.known.borrow();
        if let Some(facts) = known.facts
            && input.starts_with(&known.head)
        {
            return Ok(Some((facts, known.head.len())));
        }
        drop(known);
        self.parse(input)
    }

    #[inline(never)]
    fn parse(&self, input: &[u8]) -> Result<Option<(Facts, usize)>, ResponseError> {
        let parsed = parse_head(input, self.is_head_request)?;
        if let Some((facts, len)) = parsed {
            let mut known = self.known.borrow_mut();
            known.head.clear();
            known.head.extend_from_slice(&input[..len]);
            known.facts = Some(facts);
        }
        Ok(parsed)
    }
}
