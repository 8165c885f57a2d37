//! http:// URLs: as a person types them, and as a Location names them (RFC 9110, 4.2; RFC 3986).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The longest URL.
const MAX_URL: usize = 8 * 1024;

/// What is fetched, and where from: `http://HOST[:PORT][/PATH][?QUERY]`.
///
/// ```
/// use oneloop::http::Url;
///
/// let url: Url = "http://[::1]:8080/a/b?c#not sent".parse()?;
/// assert_eq!((url.host(), url.port(), url.target()), ("::1", 8080, "/a/b?c"));
/// assert_eq!(url.join("../d")?.to_string(), "http://[::1]:8080/d");
/// # Ok::<(), oneloop::http::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// A name or an address, IPv6 without its brackets.
    host: String,
    port: u16,
    /// Path and query, beginning with a slash.
    target: String,
}

impl Url {
    /// A name or a numeric address, IPv6 without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 where none was written.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What a request line asks for: path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The value of the Host field: the port only where it is not 80.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }

    /// The URL that a reference found here names: absolute, `//host/path`, `/path`, `path` or `?query` (RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`UrlError`]: it leads to something that cannot be fetched, or nowhere.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let reference = reference.split('#').next().unwrap_or("");
        if scheme_of(reference).is_some() {
            return reference.parse();
        } else if reference.starts_with("//") {
            return format!("http:{reference}").parse();
        }
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let joined = match reference.chars().next() {
            None if query.is_empty() => path.to_owned(),
            None => format!("{path}?{query}"),
            Some('?') => format!("{path}{reference}"),
            Some('/') => without_dots(reference),
            Some(_) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{reference}"))
            }
        };
        check_target(&joined)?;
        Ok(Self { host: self.host.clone(), port: self.port, target: joined })
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        let rest = match scheme_of(text) {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => &text["http:".len()..],
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => return Err(UrlError::Https),
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.strip_prefix("//").ok_or(UrlError::Scheme)?;
        let rest = rest.split('#').next().unwrap_or("");
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, port) = parse_authority(&rest[..end])?;
        let target = match &rest[end..] {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        check_target(&target)?;
        Ok(Self { host, port, target })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.target)
    }
}

/// Why a text is no URL that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// No scheme, or one that is not spoken.
    Scheme,
    /// https://.
    Https,
    /// `user:password@host`.
    User,
    /// No host, or one that cannot be.
    Host,
    /// An IPv6 address without brackets, or with one.
    Brackets,
    /// A port that is no number from 1 to 65535.
    Port,
    /// A blank, a control character or a byte beyond ASCII.
    Character(char),
    /// Longer than 8 KiB.
    TooLong,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("expected http://HOST[:PORT][/PATH]"),
            Self::Https => f.write_str(
                "TLS is not spoken here; use http://, on the target or on a proxy beside it that speaks TLS",
            ),
            Self::User => f.write_str(
                "a name and password in a URL end up in logs; leave them out, and give a header if it must be: \
                 -H 'Authorization: ...'",
            ),
            Self::Host => f.write_str("it has no host, or one that cannot be; write http://HOST[:PORT]/PATH"),
            Self::Brackets => f.write_str("an IPv6 address goes in brackets, as in http://[::1]:8080/"),
            Self::Port => f.write_str("its port is not a number from 1 to 65535"),
            Self::Character(bad) => {
                write!(f, "it contains {bad:?}; write such a character as %XX, a blank as %20")
            }
            Self::TooLong => write!(f, "it is longer than {MAX_URL} bytes"),
        }
    }
}

impl std::error::Error for UrlError {}

/// What is before the first colon, if that can be a scheme.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    (scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(fits))
        .then_some(scheme)
}

fn parse_authority(text: &str) -> Result<(String, u16), UrlError> {
    if text.contains('@') {
        return Err(UrlError::User);
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(UrlError::Brackets)?;
            host.parse::<Ipv6Addr>().map_err(|_| UrlError::Brackets)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(UrlError::Host),
            }
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(UrlError::Brackets),
            Some((host, port)) => (check_name(host)?, Some(port)),
            None => (check_name(text)?, None),
        },
    };
    let port = port.filter(|port| !port.is_empty()).map_or(Ok(80), parse_port)?;
    Ok((host.to_ascii_lowercase(), port))
}

fn check_name(host: &str) -> Result<&str, UrlError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if host.is_empty() || !host.bytes().all(fits) { Err(UrlError::Host) } else { Ok(host) }
}

/// Digits only: `parse` takes a plus sign.
fn parse_port(text: &str) -> Result<u16, UrlError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(UrlError::Port)
}

/// Nothing that would end a request line, or begin another.
fn check_target(target: &str) -> Result<(), UrlError> {
    if target.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    target.chars().find(|c| !c.is_ascii_graphic()).map_or(Ok(()), |bad| Err(UrlError::Character(bad)))
}

/// Resolves `.` and `..` in the path of a target (RFC 3986, 5.2.4).
fn without_dots(target: &str) -> String {
    let end = target.find('?').unwrap_or(target.len());
    let (path, query) = target.split_at(end);
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for part in path.split('/').skip(1) {
        is_folder = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    if is_folder {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_host_a_port_and_a_target() {
        for (text, host, port, target, shown) in [
            ("http://a", "a", 80, "/", "http://a/"),
            ("http://A:80/x", "a", 80, "/x", "http://a/x"),
            ("HTTP://a.b:8080?q=1", "a.b", 8080, "/?q=1", "http://a.b:8080/?q=1"),
            ("http://[::1]/", "::1", 80, "/", "http://[::1]/"),
            ("http://[::1]:9/a%20b?c=d/e#f", "::1", 9, "/a%20b?c=d/e", "http://[::1]:9/a%20b?c=d/e"),
            ("http://127.0.0.1:/a@b:c", "127.0.0.1", 80, "/a@b:c", "http://127.0.0.1/a@b:c"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.host(), url.port(), url.target()), (host, port, target), "{text}");
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_is_refused_with_the_reason() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("a.b/c", UrlError::Scheme),
            ("localhost:80/", UrlError::Scheme),
            ("http:/a", UrlError::Scheme),
            ("ftp://a/", UrlError::Scheme),
            ("https://a/", UrlError::Https),
            ("http://u:p@a/", UrlError::User),
            ("http://u@a/", UrlError::User),
            ("http://", UrlError::Host),
            ("http:///x", UrlError::Host),
            ("http://:80/", UrlError::Host),
            ("http://a b/", UrlError::Host),
            ("http://ü/", UrlError::Host),
            ("http://[::1]x/", UrlError::Host),
            ("http://::1/", UrlError::Brackets),
            ("http://[::1/", UrlError::Brackets),
            ("http://[a]/", UrlError::Brackets),
            ("http://a:0/", UrlError::Port),
            ("http://a:+1/", UrlError::Port),
            ("http://a:65536/", UrlError::Port),
            ("http://a:x/", UrlError::Port),
            ("http://a/ b", UrlError::Character(' ')),
            ("http://a/\r\nX: y", UrlError::Character('\r')),
            ("http://a/ü", UrlError::Character('ü')),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text:?}");
        }
        assert_eq!(format!("http://a/{}", "x".repeat(MAX_URL)).parse::<Url>(), Err(UrlError::TooLong));
    }

    #[test]
    fn references_are_joined_as_the_standard_says() {
        let base: Url = "http://a:8/b/c/d?q".parse().unwrap();
        for (reference, joined) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d?q"),
            ("", "/b/c/d?q"),
            ("g#s", "/b/c/g"),
            (".", "/b/c/"),
            ("..", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../../g", "/g"),
            ("/./g/../h?a/../b", "/h?a/../b"),
            ("/x:y", "/x:y"),
        ] {
            assert_eq!(
                base.join(reference).unwrap().to_string(),
                format!("http://a:8{joined}"),
                "{reference}"
            );
        }
        assert_eq!(base.join("//h/x").unwrap().to_string(), "http://h/x");
        assert_eq!(base.join("http://h:1/x").unwrap().to_string(), "http://h:1/x");
        assert_eq!(base.join("https://a/"), Err(UrlError::Https));
        assert_eq!(base.join("javascript:x"), Err(UrlError::Scheme));
        assert_eq!(base.join("/\r\n"), Err(UrlError::Character('\r')));
    }
}
