//! The path of a target as a path of files: decoded once, and refused where it could mean more than it says.

/// Why a path names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathError {
    /// It must not be sent; the text says why. Status 400.
    Malformed(&'static str),
    /// It names nothing that is served. Status 404.
    Hidden,
}

/// What a target's path names below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePath {
    /// Relative, without `.`, `..` or an empty part; empty for the root itself.
    pub(super) path: Vec<u8>,
    /// It ended with a slash: a folder is meant.
    pub(super) is_folder: bool,
}

impl FilePath {
    /// `path` begins with a slash and has no query any more.
    ///
    /// # Errors
    /// [`PathError`]; nothing that is refused has touched the file system.
    pub(super) fn decode(path: &str) -> Result<Self, PathError> {
        let path = path.strip_prefix('/').ok_or(PathError::Malformed("a path begins with a slash"))?;
        if path.is_empty() {
            return Ok(Self { path: Vec::new(), is_folder: true });
        }
        let mut decoded = Vec::with_capacity(path.len());
        let (parts, is_folder) = path.strip_suffix('/').map_or((path, false), |folder| (folder, true));
        for part in parts.split('/') {
            let from = decoded.len();
            decode_part(part, &mut decoded)?;
            check_part(&decoded[from..])?;
            decoded.push(b'/');
        }
        decoded.pop();
        Ok(Self { path: decoded, is_folder })
    }
}

fn check_part(part: &[u8]) -> Result<(), PathError> {
    match part {
        b"." | b".." => Err(PathError::Malformed("a path with . or .. in it")),
        b".well-known" => Ok(()),
        // Hidden files are where .git and .env are.
        [] | [b'.', ..] => Err(PathError::Hidden),
        _ => Ok(()),
    }
}

fn decode_part(part: &str, into: &mut Vec<u8>) -> Result<(), PathError> {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            into.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(PathError::Malformed("a % without two hexadecimal digits behind it"));
        };
        match u8::try_from(high * 16 + low) {
            Ok(0) => return Err(PathError::Malformed("a NUL in the path")),
            Ok(b'/') => return Err(PathError::Malformed("an encoded slash in the path")),
            Ok(byte) => into.push(byte),
            Err(_) => return Err(PathError::Malformed("a % without two hexadecimal digits behind it")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        for (path, expected, is_folder) in [
            ("/", "", true),
            ("/a", "a", false),
            ("/a/b.txt", "a/b.txt", false),
            ("/a/b/", "a/b", true),
            ("/a%20b%2e", "a b.", false),
            ("/%2561", "%61", false),
            ("/a..b/c.", "a..b/c.", false),
            ("/.well-known/x", ".well-known/x", false),
            ("/%5c..%5c", "\\..\\", false),
        ] {
            let expected = FilePath { path: expected.into(), is_folder };
            assert_eq!(FilePath::decode(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_path_that_could_lead_out_is_refused_before_anything_is_opened() {
        for path in [
            "",
            "a",
            "/..",
            "/../",
            "/../a",
            "/a/../b",
            "/a/..",
            "/.",
            "/a/./b",
            "/%2e%2e/a",
            "/.%2e/a",
            "/%2E.",
            "/a%2fb",
            "/a%2Fb",
            "/..%2fa",
            "/a%00",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/a%",
        ] {
            assert!(matches!(FilePath::decode(path), Err(PathError::Malformed(_))), "{path}");
        }
        for path in
            ["//", "//etc/passwd", "/a//b", "/.git/config", "/a/.env", "/%2egit/config", "/..a", "/...a%2E"]
        {
            assert_eq!(FilePath::decode(path), Err(PathError::Hidden), "{path}");
        }
    }
}
