//! One conversation with a generator: an echo, or HTTP, by what it says first.

use std::time::Instant;

use super::http::{self, Head, Keep};
use super::log::{Log, Style};
use crate::session::{Context, Protocol, ProtocolError, Step};

/// What requests of HTTP begin with (RFC 9110 section 9), and HTTP/2 (RFC 9113 section 3.4).
const METHODS: [&str; 9] =
    ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "PRI * HTTP/2"];

/// Answers every message at once.
#[derive(Debug)]
pub(super) struct Reply {
    /// Unknown until the first bytes have come, where nobody said it.
    style: Option<Style>,
    /// HTTP: bytes of a request's body that are still to come, and how it is answered then.
    body: Option<(u64, Keep)>,
    log: Log,
}

impl Reply {
    pub(super) const fn new(style: Option<Style>, log: Log) -> Self {
        Self { style, body: None, log }
    }

    fn on_request(&mut self, input: &[u8], cx: &mut Context<'_>) -> Step {
        match http::parse(input) {
            Head::Partial => Step::NeedMore,
            Head::Whole { length, body: 0, keep } => {
                self.answer(keep, cx);
                Step::consumed(length)
            }
            Head::Whole { length, body, keep } => {
                self.body = Some((body, keep));
                Step::consumed(length)
            }
            Head::Bad(answer) => {
                if input.starts_with(b"PRI ") {
                    self.log.count_http2();
                } else {
                    self.log.count_bad();
                }
                cx.write(answer.as_bytes());
                cx.finish();
                Step::consumed(input.len())
            }
        }
    }

    fn on_body(&mut self, input: &[u8], left: u64, keep: Keep, cx: &mut Context<'_>) -> Step {
        let taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - taken as u64;
        self.body = (left > 0).then_some((left, keep));
        if left == 0 {
            self.answer(keep, cx);
        }
        Step::consumed(taken)
    }

    fn answer(&self, keep: Keep, cx: &mut Context<'_>) {
        self.log.count(Style::Http, 1, cx.now());
        cx.write(keep.reply().as_bytes());
        if !keep.is_kept() {
            cx.finish();
        }
    }

    fn echo(&self, input: &[u8], now: Instant, cx: &mut Context<'_>) -> Step {
        self.log.count(Style::Echo, input.len() as u64, now);
        cx.reply_input(0..input.len());
        Step::consumed(input.len())
    }
}

impl Protocol for Reply {
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        if let Some((left, keep)) = self.body {
            return Ok(self.on_body(input, left, keep, cx));
        }
        if self.style.is_none() {
            self.style = style_of(input);
        }
        Ok(match self.style {
            None => Step::NeedMore,
            Some(Style::Echo) => self.echo(input, cx.now(), cx),
            Some(Style::Http) => self.on_request(input, cx),
        })
    }
}

/// `None` while it could be either.
fn style_of(input: &[u8]) -> Option<Style> {
    let begins = |method: &str| input.starts_with(method.as_bytes());
    if METHODS.iter().any(|method| begins(method)) {
        return Some(Style::Http);
    }
    let may_become = |method: &str| method.as_bytes().starts_with(input);
    if METHODS.iter().any(|method| may_become(method)) { None } else { Some(Style::Echo) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SessionPair;

    fn pair(style: Option<Style>) -> (SessionPair<Reply>, Log) {
        let log = Log::default();
        (SessionPair::new(Reply::new(style, log.clone())), log)
    }

    #[test]
    fn whatever_does_not_begin_with_a_method_is_echoed() {
        let (mut pair, log) = pair(None);
        assert_eq!(pair.send(b"*1\r\n$4\r\nPING\r\n"), b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(pair.send(b"GET / HTTP/1.1\r\n\r\n"), b"GET / HTTP/1.1\r\n\r\n", "it stays what it is");
        let seen = log.observed();
        assert_eq!((seen.style, seen.units), (Some(Style::Echo), 14 + 18));
    }

    #[test]
    fn a_request_is_answered_wherever_it_is_cut_and_its_body_is_swallowed() {
        let wire = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n";
        for cut in 1..wire.len() {
            let (mut pair, log) = pair(None);
            let mut out = pair.send(&wire[..cut]);
            out.extend(pair.send(&wire[cut..]));
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out.matches("HTTP/1.1 200 OK\r\n").count(), 2, "cut at {cut}: {out}");
            assert_eq!(log.observed().units, 2);
        }
    }

    #[test]
    fn a_client_of_http_1_0_is_closed_to_unless_it_asks_otherwise() {
        let (mut one, _) = pair(None);
        let out = String::from_utf8(one.send(b"GET / HTTP/1.0\r\n\r\n")).unwrap();
        assert!(out.contains("Connection: close\r\n") && out.ends_with("\r\n\r\nok\n"), "{out}");
        assert_eq!(one.send(b"GET / HTTP/1.0\r\n\r\n"), b"", "it was the last");
        let (mut kept, _) = pair(None);
        for _ in 0..2 {
            let out = kept.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
            assert!(String::from_utf8(out).unwrap().contains("Connection: keep-alive\r\n"));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_counted() {
        for (wire, status) in [
            (&b"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"[..], "400"),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "501"),
            (b"GET \0 HTTP/1.1\r\n\r\n", "400"),
        ] {
            let (mut pair, log) = pair(None);
            let out = String::from_utf8(pair.send(wire)).unwrap();
            assert!(out.starts_with(&format!("HTTP/1.1 {status} ")), "{out}");
            assert_eq!((log.observed().bad, log.observed().units), (1, 0));
        }
        let (mut pair, log) = pair(None);
        pair.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(log.observed().http2, 1);
    }

    #[test]
    fn a_head_without_an_end_has_a_limit() {
        let (mut pair, _) = pair(Some(Style::Http));
        let mut out = pair.send(b"GET / HTTP/1.1\r\nA: ");
        while out.is_empty() {
            out = pair.send(&[b'a'; 1000]);
        }
        assert!(String::from_utf8(out).unwrap().starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn the_style_can_be_given() {
        let (mut echo, _) = pair(Some(Style::Echo));
        assert_eq!(echo.send(b"GET / HTTP/1.1\r\n\r\n"), b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(echo.send(b"G"), b"G");
    }
}
