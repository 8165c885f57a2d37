//! What the messages are, and whether the framing, or a datagram, can carry them and their answers.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use super::args::{LoadArgs, MAX_SIZE, ProtocolName};
use super::checks::{has_udp, is_all_udp};
use crate::client::MAX_DATAGRAM;
use crate::codec::{Encoder, FrameError, Framing};
use crate::load::Content;

/// Bytes of one message where nothing is said.
const SIZE: usize = 64;

/// The connection's number and the message's, in a datagram: what tells a late answer from the next one's.
const MARK: usize = 16;

/// The mark, and what a greeting puts before and behind it: the shortest name whose answer is told apart.
const GREETED_MARK: usize = 24;

/// What `Hello, X!` has more than X.
const GREETING: usize = 8;

/// A longer name may come in two reads: it does not fit one segment of an Ethernet.
const MAX_RAW_NAME: usize = 1400;

/// Why there is no content.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The arguments make no sense.
    Usage(String),
    /// A file cannot be read.
    Unreadable(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Usage(why)
    }
}

/// Finds out what is sent, and whether it can be.
pub(super) fn content(args: &LoadArgs) -> Result<Content, Refusal> {
    let content = match &args.send {
        Some(given) => Content::Fixed(not_empty(given_bytes("--send", given)?)?.into()),
        None => Content::Pattern(size(args)?),
    };
    match &content {
        Content::Requests(_) => {}
        Content::Fixed(bytes) => check_fixed(args, bytes)?,
        Content::Pattern(size) => check_pattern(args, *size)?,
    }
    check_datagrams(args, &content)?;
    check_raw_names(args, content.size())?;
    Ok(content)
}

/// What the target says first.
pub(super) fn banner(args: &LoadArgs) -> Result<Arc<[u8]>, String> {
    let banner = args.banner.as_ref().map_or(&[][..], |banner| banner.as_bytes());
    if !banner.is_empty() {
        encode(&args.framing, banner)
            .map_err(|error| format!("'--banner' does not fit '--framing {}': {error}", args.framing))?;
    }
    Ok(banner.into())
}

/// `@FILE`, `@@TEXT` for a text that begins with `@`, or `TEXT`.
pub(super) fn given_bytes(option: &str, given: &OsString) -> Result<Vec<u8>, Refusal> {
    Ok(match given.as_bytes() {
        [b'@', b'@', ..] => given.as_bytes()[1..].to_vec(),
        [b'@', path @ ..] if !path.is_empty() => read(option, Path::new(&OsString::from_vec(path.to_vec())))?,
        [b'@'] => {
            return Err(format!("'{option} @' names no file; write @FILE, or @@ for the text @").into());
        }
        text => text.to_vec(),
    })
}

fn not_empty(bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    if bytes.is_empty() {
        return Err("'--send' has no bytes, so that nothing could be answered; give at least one"
            .to_owned()
            .into());
    }
    Ok(bytes)
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, Refusal> {
    let fail = |error| Refusal::Unreadable(format!("cannot read '{}': {error}", path.display()));
    let mut bytes = Vec::new();
    // One more than is allowed tells a file that is too long; it may have no end.
    File::open(path).map_err(fail)?.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() > MAX_SIZE {
        return Err(format!("'{option} @{}' is longer than a message may be, 16MiB", path.display()).into());
    }
    Ok(bytes)
}

fn size(args: &LoadArgs) -> Result<usize, String> {
    match (&args.framing, args.size) {
        (Framing::Fixed(fixed), _) if fixed.get() as usize > MAX_SIZE => {
            Err(format!("'--framing fixed:{fixed}' is longer than a message may be; give at most {MAX_SIZE}"))
        }
        (Framing::Fixed(fixed), Some(size)) if fixed.get() as usize != size => Err(format!(
            "'--size {size}' does not fit '--framing fixed:{fixed}', whose messages have exactly {fixed} bytes; leave \
             --size out"
        )),
        (Framing::Fixed(fixed), _) => Ok(fixed.get() as usize),
        (_, size) => Ok(size.unwrap_or(SIZE)),
    }
}

/// The longest of a message and its answer.
fn longest(args: &LoadArgs, size: usize) -> usize {
    if args.protocol == ProtocolName::Greet { size + GREETING } else { size }
}

fn check_pattern(args: &LoadArgs, size: usize) -> Result<(), String> {
    let most = usize::from(u16::MAX);
    if args.framing == Framing::Len16 && longest(args, size) > most {
        return Err(format!(
            "'--size {size}' does not fit '--framing len16', whose messages, answers too, have at most {most} bytes; \
             choose len32"
        ));
    }
    if args.protocol == ProtocolName::Greet {
        check_greeting(args, b"")?;
    }
    Ok(())
}

fn check_fixed(args: &LoadArgs, message: &[u8]) -> Result<(), String> {
    encode(&args.framing, message).map_err(|error| {
        format!("'--send' does not fit '--framing {}': {error}; choose another framing", args.framing)
    })?;
    if args.protocol != ProtocolName::Greet {
        return Ok(());
    }
    if args.framing == Framing::Raw && message.ends_with(b"\n") {
        return Err("'--send' ends a line, and '--protocol greet' with '--framing raw' puts that behind its answer; leave \
                    the line end out, or choose --framing lines"
            .to_owned());
    }
    if message == b"exit" && !is_all_udp(args) {
        return Err("'--send exit' cannot be used with '--protocol greet': it ends the conversation without an answer; \
                    send another name"
            .to_owned());
    }
    check_greeting(args, message)
}

fn check_greeting(args: &LoadArgs, name: &[u8]) -> Result<(), String> {
    let answer = [b"Hello, ", name, b"!"].concat();
    let encoded = encode(&args.framing, &answer);
    encoded.map_err(|error| {
        format!(
            "'--framing {}' cannot be used with '--protocol greet': the answer, `Hello, X!`, does not fit: {error}; \
             choose another framing",
            args.framing
        )
    })
}

fn check_datagrams(args: &LoadArgs, content: &Content) -> Result<(), String> {
    if !has_udp(args) {
        return Ok(());
    }
    let size = content.size();
    let option = if args.send.is_some() { "--send" } else { "--size" };
    if longest(args, size) > MAX_DATAGRAM {
        return Err(format!(
            "'{option}' of {size} bytes does not fit a datagram, which carries {MAX_DATAGRAM}, answers too; make it \
             smaller"
        ));
    }
    // What is always the same carries no mark: an answer belongs to the oldest datagram that has none.
    if args.no_verify || args.send.is_some() || args.protocol == ProtocolName::Discard {
        return Ok(());
    }
    let least = if args.protocol == ProtocolName::Greet { GREETED_MARK } else { MARK };
    if size < least {
        return Err(format!(
            "'--size {size}' over UDP cannot be verified: {least} bytes say which connection and message a datagram \
             belongs to; use at least {least}, or add --no-verify"
        ));
    }
    Ok(())
}

fn check_raw_names(args: &LoadArgs, size: usize) -> Result<(), String> {
    let is_raw_greet =
        args.protocol == ProtocolName::Greet && args.framing == Framing::Raw && !is_all_udp(args);
    if is_raw_greet && size > MAX_RAW_NAME {
        return Err(format!(
            "a name of {size} bytes cannot be sent with '--protocol greet' and '--framing raw': a name is what one read \
             returns, and a long one comes in parts; use at most {MAX_RAW_NAME}, or a framing, as in --framing lines"
        ));
    }
    Ok(())
}

fn encode(framing: &Framing, payload: &[u8]) -> Result<(), FrameError> {
    Encoder::encode(&*framing.codec(MAX_SIZE), payload, &mut Vec::new())
}
