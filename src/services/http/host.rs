//! Whether a request is meant for this server: the check that DNS rebinding fails at.
//!
//! A page of evil.example may let its own name point at 127.0.0.1 and then reads from a local server as if from its own:
//! a browser compares names, not addresses. What it cannot do is leave its name out of `Host`. So names are answered that
//! cannot be anybody else's: addresses, which no resolver is asked about, `localhost`, and what the operator has named.

/// What may stand in `Host` besides addresses and `localhost`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    names: Vec<String>,
    any: bool,
}

/// What becomes of a request because of its `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ours,
    /// A name, and not ours.
    NotOurs,
    /// No name and no address.
    Malformed,
}

impl Hosts {
    /// These names, compared without regard to case; `*` stands for every name and switches the check off.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let any = names.iter().any(|name| name == "*");
        Self { names, any }
    }

    /// Whether `text` can be given as a name: letters, digits, `-`, `_` and dots, or `*`; neither a port nor a scheme.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        text == "*" || (!text.is_empty() && text.bytes().all(is_name_byte))
    }

    /// `authority` is what follows `Host:`, or stands in the target: a host, and mostly a port.
    #[inline]
    pub(super) fn judge(&self, authority: &[u8]) -> Verdict {
        if is_ipv4(authority) { Verdict::Ours } else { self.judge_name(authority) }
    }

    #[inline(never)]
    fn judge_name(&self, authority: &[u8]) -> Verdict {
        let Some(host) = without_port(authority) else { return Verdict::Malformed };
        if let [b'[', inner @ .., b']'] = host {
            let address =
                std::str::from_utf8(inner).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            return if address { Verdict::Ours } else { Verdict::Malformed };
        }
        if host.is_empty() || !host.iter().copied().all(is_name_byte) {
            return Verdict::Malformed;
        }
        // A name may end with the dot of the root.
        let name = host.strip_suffix(b".").unwrap_or(host);
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        let is_local = is(b"localhost") || ends_with_localhost(name);
        if self.any || is_local || self.names.iter().any(|known| is(known.as_bytes())) {
            Verdict::Ours
        } else {
            Verdict::NotOurs
        }
    }
}

/// Digits and dots, and perhaps a port: whatever ends in a number is an IPv4 address or nothing, and never looked up as a
/// name (URL Standard, host parsing).
#[inline]
fn is_ipv4(authority: &[u8]) -> bool {
    let end = authority.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.');
    let (host, port) = authority.split_at(end.unwrap_or(authority.len()));
    !host.is_empty() && (port.is_empty() || (port[0] == b':' && is_port(&port[1..])))
}

#[inline]
fn is_port(text: &[u8]) -> bool {
    text.len() <= 5 && text.iter().all(u8::is_ascii_digit)
}

/// RFC 6761 section 6.3 keeps all of them for this machine.
fn ends_with_localhost(name: &[u8]) -> bool {
    const END: &[u8] = b".localhost";
    name.len() > END.len() && name[name.len() - END.len()..].eq_ignore_ascii_case(END)
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// `None` when what follows the last colon is no port. An empty port is one.
fn without_port(authority: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memrchr(b':', authority).filter(|_| authority.last() != Some(&b']'));
    let Some(colon) = colon else { return Some(authority) };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    is_port(port).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_local_names_and_those_named_are_ours_and_nothing_else_is() {
        use Verdict::{Malformed, NotOurs, Ours};
        let hosts = Hosts::new(vec!["My.example".into(), "nas".into()]);
        for (host, expected) in [
            ("127.0.0.1", Ours),
            ("127.0.0.1:9999", Ours),
            ("10.1.2.3:80", Ours),
            ("[::1]", Ours),
            ("[::1]:9999", Ours),
            ("[fe80::1]:", Ours),
            ("localhost", Ours),
            ("LOCALHOST:9999", Ours),
            ("localhost.", Ours),
            ("a.localhost:1", Ours),
            ("my.EXAMPLE:9999", Ours),
            ("my.example.", Ours),
            ("nas", Ours),
            ("evil.example", NotOurs),
            ("my.example.evil.example", NotOurs),
            ("evil-my.example", NotOurs),
            ("notlocalhost", NotOurs),
            ("localhost.evil.example", NotOurs),
            ("127.0.0.1.evil.example", NotOurs),
            ("127.0.0.1x", NotOurs),
            ("0x7f.1", NotOurs),
            ("", Malformed),
            (":80", Malformed),
            ("[::1", Malformed),
            ("[localhost]", Malformed),
            ("::1", Malformed),
            ("localhost:http", Malformed),
            ("localhost:999999", Malformed),
            ("user@localhost", Malformed),
            ("localhost, evil.example", Malformed),
            ("local host", Malformed),
            ("localhost/", Malformed),
            ("\u{e9}", Malformed),
        ] {
            assert_eq!(hosts.judge(host.as_bytes()), expected, "{host:?}");
        }
    }

    #[test]
    fn a_star_is_every_name_but_nothing_malformed() {
        let hosts = Hosts::new(vec!["*".into()]);
        assert_eq!(hosts.judge(b"evil.example:1"), Verdict::Ours);
        assert_eq!(hosts.judge(b"a b"), Verdict::Malformed);
    }

    #[test]
    fn a_name_has_no_port_and_no_scheme() {
        for (text, expected) in
            [("a.b-c_1", true), ("*", true), ("", false), ("a:1", false), ("http://a", false), ("*.a", false)]
        {
            assert_eq!(Hosts::is_name(text), expected, "{text:?}");
        }
    }
}
