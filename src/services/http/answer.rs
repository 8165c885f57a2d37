//! What a request is answered with: decided by its head alone, before its body has come.

use std::borrow::Cow;

use super::HttpConfig;
use super::files::{FileAnswer, find_file};
use super::host::Verdict;
use super::status::Status;
use crate::http::{Expect, Request};

/// What nobody needs to be told how to spell; others are not implemented.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"];

/// The longest `/delay/MS`, in milliseconds.
const MAX_DELAY: u64 = 60_000;

/// The most of `/bytes/N`.
const MAX_BYTES: u64 = 1 << 40;

/// An answer that needs nothing of the request any more.
#[derive(Debug)]
pub(super) enum Answer {
    Plaintext,
    Home,
    Json,
    /// So many bytes whose values are known.
    Bytes(u64),
    /// After so many milliseconds.
    Delay(u64),
    /// The request's body.
    Echo,
    File(Box<FileAnswer>),
    /// A line of text, and further fields with their line ends.
    Text {
        status: Status,
        fields: Cow<'static, str>,
        text: Cow<'static, str>,
    },
}

impl Answer {
    pub(super) const fn text(status: Status, text: &'static str) -> Self {
        Self::Text { status, fields: Cow::Borrowed(""), text: Cow::Borrowed(text) }
    }

    /// The status where that is one of an error.
    pub(super) fn error(&self) -> Option<Status> {
        match self {
            Self::Text { status, .. } => Some(*status).filter(|status| status.is_error()),
            _ => None,
        }
    }

    /// Decides. `check_host` is false where no browser can be the client.
    #[inline]
    pub(super) fn to(request: &Request<'_>, check_host: bool, config: &HttpConfig) -> Self {
        // What is asked for a million times is recognised as a whole.
        if request.target == "/plaintext"
            && request.method == "GET"
            && request.expect == Expect::Nothing
            && request.host.is_some_and(|host| config.hosts.judge(host) == Verdict::Ours)
        {
            return Self::Plaintext;
        }
        Self::to_any(request, check_host, config)
    }

    #[inline(never)]
    fn to_any(request: &Request<'_>, check_host: bool, config: &HttpConfig) -> Self {
        let (authority, path) = split_target(request);
        check(request, authority, check_host, config).unwrap_or_else(|| route(request, path, config))
    }
}

/// The authority that counts, and the path without its query. In a target that has an authority that one counts (RFC 9112
/// section 3.2.2).
fn split_target<'a>(request: &Request<'a>) -> (Option<&'a [u8]>, &'a str) {
    let target = request.target;
    let (authority, path) = match target.strip_prefix('/') {
        Some(_) => (request.host, target),
        None => split_absolute(request),
    };
    let end = memchr::memchr(b'?', path.as_bytes()).unwrap_or(path.len());
    (authority, &path[..end])
}

#[cold]
fn split_absolute<'a>(request: &Request<'a>) -> (Option<&'a [u8]>, &'a str) {
    let Some((_, rest)) = request.target.split_once("://") else { return (request.host, request.target) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    (Some(authority.as_bytes()), if path.starts_with('/') { path } else { "/" })
}

/// What is wrong with a request, whatever it asks for.
fn check(
    request: &Request<'_>,
    authority: Option<&[u8]>,
    check_host: bool,
    config: &HttpConfig,
) -> Option<Answer> {
    let verdict = match authority {
        _ if request.minor == 1 && request.host.is_none() => {
            return Some(Answer::text(Status::BAD_REQUEST, "a request of HTTP/1.1 without Host"));
        }
        Some(authority) => config.hosts.judge(authority),
        // HTTP/1.0: no browser speaks it.
        None => Verdict::Ours,
    };
    match verdict {
        Verdict::Malformed => return Some(Answer::text(Status::BAD_REQUEST, "a Host that is no host")),
        Verdict::NotOurs if check_host => {
            return Some(Answer::text(
                Status::MISDIRECTED,
                "This server answers to addresses and to localhost only. If the name you used for it is its own, start it with --host NAME.",
            ));
        }
        Verdict::Ours | Verdict::NotOurs => {}
    }
    if request.expect == Expect::Unknown {
        return Some(Answer::text(Status::EXPECTATION, "the only expectation known is 100-continue"));
    }
    let known = request.method == "GET" || METHODS.contains(&request.method);
    (!known).then(|| Answer::text(Status::NOT_IMPLEMENTED, "an unknown method"))
}

fn route(request: &Request<'_>, path: &str, config: &HttpConfig) -> Answer {
    if path == "/echo" {
        let posted = matches!(request.method, "POST" | "PUT");
        return if posted { Answer::Echo } else { not_allowed("POST, PUT") };
    }
    let is_ours = |path: &str| path == "/" || path == "*" || built_in(path).is_some();
    if !matches!(request.method, "GET" | "HEAD") && (config.root.is_some() || is_ours(path)) {
        return not_allowed("GET, HEAD");
    }
    if let Some(answer) = built_in(path) {
        return answer;
    }
    let file = config.root.as_ref().map(|root| find_file(root, path, request));
    match file {
        // A tree without an index is no reason to say nothing.
        Some(answer) if path != "/" || answer.error() != Some(Status::NOT_FOUND) => answer,
        _ if path == "/" => Answer::Home,
        _ => Answer::text(Status::NOT_FOUND, "there is nothing of that name; / says what there is"),
    }
}

fn built_in(path: &str) -> Option<Answer> {
    match path {
        "/plaintext" => return Some(Answer::Plaintext),
        "/json" => return Some(Answer::Json),
        _ => {}
    }
    if let Some(count) = path.strip_prefix("/bytes/") {
        let error = "/bytes/N: expected a number up to 1099511627776";
        return Some(number(count, MAX_BYTES).map_or(Answer::text(Status::NOT_FOUND, error), Answer::Bytes));
    }
    let delay = path.strip_prefix("/delay/")?;
    let error = "/delay/MS: expected milliseconds up to 60000";
    Some(number(delay, MAX_DELAY).map_or(Answer::text(Status::NOT_FOUND, error), Answer::Delay))
}

fn not_allowed(allow: &str) -> Answer {
    Answer::Text {
        status: Status::METHOD,
        fields: format!("Allow: {allow}\r\n").into(),
        text: format!("the methods known here: {allow}").into(),
    }
}

/// Digits only.
fn number(text: &str, max: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= max)
}
