//! The tutorials' protocols, from the client's side: a length, then so many bytes.

use std::io;

use super::{Options, Stop, print};
use crate::cli::exit::Exit;
use crate::client::Client;
use crate::codec::Raw;

/// The largest reply that is taken.
const MAX_REPLY: u64 = 1 << 31;
/// Digits of the largest.
const MAX_DIGITS: usize = 10;

/// What a header says: nothing yet, or the length, and how many bytes it took itself.
type Header = Result<Option<(u64, usize)>, String>;

/// A little-endian i32.
pub(super) fn read_header_le(bytes: &[u8], _: &mut Vec<u8>) -> Header {
    let Some(header) = bytes.first_chunk::<4>() else { return Ok(None) };
    let len = i32::from_le_bytes(*header);
    let len = u64::try_from(len).map_err(|_| format!("the server announces a reply of {len} bytes"))?;
    Ok(Some((len, 4)))
}

/// Decimal digits, which end where the first read does: nothing follows before our `OK`.
pub(super) fn read_header_text(bytes: &[u8], answer: &mut Vec<u8>) -> Header {
    if bytes.is_empty() {
        return Ok(None);
    }
    let digits = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_DIGITS);
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let len = digits.and_then(|text| text.parse::<u64>().ok()).filter(|len| *len <= MAX_REPLY);
    let len = len.ok_or("the server announces no length; does it speak length-ok?")?;
    answer.extend_from_slice(b"OK");
    Ok(Some((len, bytes.len())))
}

pub(super) fn run(options: &Options, read_header: fn(&[u8], &mut Vec<u8>) -> Header) -> Result<Exit, Stop> {
    let mut client = Client::connect(&options.target, Raw, &options.connect)?;
    client.queue(&options.words.join(&b' '))?;
    let name = client.name().to_owned();
    let wrong = |what: String| Stop::Because(format!("{name}: {what}"));
    let (mut begun, mut left) = (Vec::new(), None);
    while left != Some(0) {
        let Some(bytes) = client.receive(options.timeout)? else {
            let what = match left {
                Some(left) => format!("the reply is cut off: {left} bytes are missing"),
                None => "the server closed the connection without a reply".to_owned(),
            };
            return Err(wrong(what));
        };
        begun.extend_from_slice(bytes);
        if left.is_none() {
            let mut answer = Vec::new();
            let Some((len, used)) = read_header(&begun, &mut answer).map_err(wrong)? else { continue };
            left = Some(len);
            begun.drain(..used);
            if !answer.is_empty() {
                client.queue(&answer)?;
            }
        }
        left = left.map(|left| left.saturating_sub(begun.len() as u64));
        print(io::stdout().lock(), &begun)?;
        begun.clear();
    }
    // The last OK may be about a reply of nothing.
    client.flush(options.timeout, |_| Ok::<(), Stop>(()))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_not_trusted() {
        let le = |bytes: &[u8]| read_header_le(bytes, &mut Vec::new());
        assert_eq!((le(b"\x05\0\0"), le(b"\x05\0\0\0hello")), (Ok(None), Ok(Some((5, 4)))));
        assert!(le(&[0xff; 4]).unwrap_err().contains("-1 bytes"));
        let text = |bytes: &[u8]| read_header_text(bytes, &mut Vec::new());
        assert_eq!((text(b""), text(b"12")), (Ok(None), Ok(Some((12, 2)))));
        for bytes in [&b"+1"[..], b"-1", b"1 ", b"9999999999", b"99999999999999999999999", b"\xff"] {
            assert!(text(bytes).is_err(), "{bytes:?}");
        }
    }
}
