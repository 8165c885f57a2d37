//! The secret that a request must know, compared in a time that says nothing about it.

use std::fmt;

use subtle::ConstantTimeEq;

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 256;

/// A secret of 1 to [`MAX_TOKEN`] bytes without NUL.
#[derive(Clone)]
pub struct ExecToken([u8; MAX_TOKEN]);

impl ExecToken {
    /// `None` for what is too long, empty, or has a NUL in it, which ends a token on the wire.
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        let usable = !secret.is_empty() && !secret.contains(&0);
        if usable { padded(secret).map(Self) } else { None }
    }

    /// Whether these are the same bytes. It takes as long for any token.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        // Padded with what no token contains, different lengths are different bytes.
        padded(given).is_some_and(|given| self.0.ct_eq(&given).into())
    }
}

fn padded(secret: &[u8]) -> Option<[u8; MAX_TOKEN]> {
    let mut all = [0; MAX_TOKEN];
    all.get_mut(..secret.len())?.copy_from_slice(secret);
    Some(all)
}

impl fmt::Debug for ExecToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_token() {
        let token = ExecToken::new(b"sesame").unwrap();
        assert!(token.is(b"sesame"));
        for other in [&b"sesam"[..], b"sesame2", b"Sesame", b"", &[b's'; 300]] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "ExecToken(..)");
    }

    #[test]
    fn what_cannot_be_sent_is_no_token() {
        assert!(ExecToken::new(b"").is_none() && ExecToken::new(b"a\0b").is_none());
        assert!(ExecToken::new(&[b'x'; 256]).is_some() && ExecToken::new(&[b'x'; 257]).is_none());
    }
}
