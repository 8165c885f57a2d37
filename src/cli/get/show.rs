//! Headers as people read them, and the answer as JSON.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::fetch::Reply;

/// The head, line by line, with an empty line behind it.
pub(super) fn head(head: &[u8]) -> String {
    let mut text = String::new();
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        text.push_str(&readable(line));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// UTF-8, or else Latin-1, which headers were once defined to be (RFC 9110, 5.5). What a terminal would obey is escaped.
pub(super) fn readable(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().copied().map(char::from).collect::<String>(), str::to_owned);
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    /// The last one, after all redirects.
    url: String,
    /// Those before it.
    redirects: &'a [String],
    status: u16,
    reason: String,
    headers: Vec<Header>,
    /// Bytes of the body.
    length: u64,
    file: Option<String>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Header {
    name: String,
    value: String,
}

/// The object of `--json`, in one line.
pub(super) fn json(
    reply: &Reply,
    redirects: &[String],
    length: u64,
    file: Option<&Path>,
    took: Duration,
) -> String {
    let header = |(name, value): &(String, Vec<u8>)| Header { name: name.clone(), value: readable(value) };
    let document = Document {
        schema: "oneloop.get/1",
        url: reply.url.to_string(),
        redirects,
        status: reply.status,
        reason: readable(reply.reason.as_bytes()),
        headers: reply.fields.iter().map(header).collect(),
        length,
        file: file.map(|path| path.display().to_string()),
        seconds: (took.as_secs_f64() * 1e6).round() / 1e6,
    };
    serde_json::to_string(&document).expect("names and numbers can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_utf_8_or_latin_1_and_harmless() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            (b"caf\xe9", "café"),
            ("café 已收到".as_bytes(), "café 已收到"),
            (b"\x1b[2J\t\x9b", "\\u{1b}[2J\\t\\u{9b}"),
        ] {
            assert_eq!(readable(bytes), text);
        }
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nA: \xe9\r\n\r\n"), "HTTP/1.1 200 OK\nA: é\n\n");
    }
}
