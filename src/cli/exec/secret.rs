//! The file a token is in.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::services::{ExecToken, MAX_TOKEN};

/// Reads the first line.
///
/// # Errors
/// It cannot be read, or holds no token.
pub(super) fn read(path: &Path) -> Result<ExecToken, String> {
    ExecToken::new(&read_bytes(path)?)
        .ok_or_else(|| format!("'--token-file {}' changed while it was read", path.display()))
}

/// The bytes, for a client.
///
/// # Errors
/// The same.
pub(in super::super) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let fails = |error: std::io::Error| format!("'--token-file {shown}': {error}");
    let file = std::fs::File::open(path).map_err(fails)?;
    let mode = file.metadata().map_err(fails)?.permissions().mode();
    if mode & 0o007 != 0 {
        // Not by the log, which is not set up yet.
        let _ = writeln!(
            std::io::stderr().lock(),
            "oneloop: warning: everybody on this machine may read '{shown}'; chmod 600 keeps it a secret"
        );
    }
    let mut text = Vec::new();
    file.take(MAX_TOKEN as u64 + 2).read_to_end(&mut text).map_err(fails)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if ExecToken::new(line).is_none() {
        return Err(format!(
            "'--token-file {shown}' has no token in its first line: expected 1 to {MAX_TOKEN} bytes without NUL"
        ));
    }
    Ok(line.to_vec())
}
