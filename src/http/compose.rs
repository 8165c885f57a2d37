//! A client's request as bytes.

use std::fmt;
use std::str::FromStr;

use super::url::Url;

/// Fields that say where a message ends and what becomes of its connection: only whoever writes the message knows.
const OWN: [&str; 5] = ["content-length", "transfer-encoding", "connection", "expect", "upgrade"];

/// A header field that somebody wants sent: `Name: value`.
///
/// ```
/// use oneloop::http::{Field, FieldError};
///
/// let field: Field = "Accept: text/html".parse()?;
/// assert_eq!((field.name(), field.value()), ("Accept", "text/html"));
/// assert_eq!("Content-Length: 7".parse::<Field>(), Err(FieldError::Own));
/// # Ok::<(), FieldError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: String,
    value: String,
}

impl Field {
    /// Its name, as it was written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, without blanks around it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or(FieldError::Colon)?;
        if !is_token(name) {
            return Err(FieldError::Name);
        } else if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(FieldError::Own);
        }
        let value = value.trim_matches([' ', '\t']);
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(FieldError::Value);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Why a text is no field that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// Nothing separates a name from a value.
    Colon,
    /// The name is empty, or has characters that it may not have.
    Name,
    /// The value has a line end or another control character.
    Value,
    /// It says where the message or the connection ends.
    Own,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Colon => "expected 'Name: value'",
            Self::Name => "a header's name is letters, digits and dashes; expected 'Name: value'",
            Self::Value => "a header's value cannot contain a line end or another control character",
            Self::Own => {
                "this header says where a message or its connection ends, and is written by the program itself; leave \
                 it out"
            }
        })
    }
}

impl std::error::Error for FieldError {}

/// Whether this can be a method: a token (RFC 9110, 9.1), and not CONNECT, whose answer is no message but a tunnel.
#[must_use]
pub fn is_method(text: &str) -> bool {
    is_token(text) && text.len() <= 32 && text != "CONNECT"
}

/// What is asked of a server.
#[derive(Debug, Clone)]
pub struct ClientRequest<'a> {
    /// The method, which [`is_method`].
    pub method: &'a str,
    /// What is asked for.
    pub url: &'a Url,
    /// Further fields. One of ours gives way to one of the same name.
    pub fields: &'a [Field],
    /// The body; `None` for a request that has none.
    pub body: Option<&'a [u8]>,
    /// Whether the connection is to be kept.
    pub keep_alive: bool,
}

impl ClientRequest<'_> {
    /// The request as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let has = |name: &str| self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.url.target());
        let mut add = |name: &str, value: &str| {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        };
        if !has("host") {
            add("Host", &self.url.authority());
        }
        if !has("user-agent") {
            add("User-Agent", concat!("oneloop/", env!("CARGO_PKG_VERSION")));
        }
        if !has("accept") {
            add("Accept", "*/*");
        }
        self.fields.iter().for_each(|field| add(&field.name, &field.value));
        if let Some(body) = self.body {
            add("Content-Length", &body.len().to_string());
        }
        if !self.keep_alive {
            add("Connection", "close");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.unwrap_or_default());
        bytes
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_every_server_wants_and_what_was_asked_for() {
        let url = "http://[::1]:8080/a?b".parse().unwrap();
        let plain = ClientRequest { method: "GET", url: &url, fields: &[], body: None, keep_alive: true };
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "GET /a?b HTTP/1.1\r\nHost: [::1]:8080\r\nUser-Agent: oneloop/{version}\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(String::from_utf8(plain.to_bytes()).unwrap(), expected);
        let fields = ["host: x", "USER-AGENT:me", "Accept: \t", "X-Y: ü "].map(|text| text.parse().unwrap());
        let full = ClientRequest {
            method: "POST",
            url: &url,
            fields: &fields,
            body: Some(b"hi"),
            keep_alive: false,
        };
        assert_eq!(
            String::from_utf8(full.to_bytes()).unwrap(),
            "POST /a?b HTTP/1.1\r\nhost: x\r\nUSER-AGENT: me\r\nAccept: \r\nX-Y: ü\r\nContent-Length: 2\r\n\
             Connection: close\r\n\r\nhi"
        );
    }

    #[test]
    fn fields_that_would_change_the_message_are_refused() {
        for (text, error) in [
            ("x", FieldError::Colon),
            ("", FieldError::Colon),
            (": x", FieldError::Name),
            ("a b: x", FieldError::Name),
            ("a : x", FieldError::Name),
            ("a\r\nb: x", FieldError::Name),
            ("a: x\r\nb: y", FieldError::Value),
            ("a: \0", FieldError::Value),
            ("transfer-encoding: chunked", FieldError::Own),
            ("CONNECTION: close", FieldError::Own),
        ] {
            assert_eq!(text.parse::<Field>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn methods_are_tokens() {
        for (text, is) in [("GET", true), ("M-SEARCH", true), ("", false), ("A B", false), ("CONNECT", false)]
        {
            assert_eq!(is_method(text), is, "{text}");
        }
    }
}
