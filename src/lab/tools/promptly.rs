//! Looking before a delayed ACK comes.
//!
//! A receiver acknowledges 40 ms late at the earliest (TCP_DELACK_MIN). A program that is kept from its processor for so long sees
//! what no claim is about; it looks again.

use std::io;
use std::time::{Duration, Instant};

/// Less than TCP_DELACK_MIN, by a tick of the slowest kernel.
const PROMPT: Duration = Duration::from_millis(29);

/// How long we try, before what the last attempt saw has to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes `attempt` anew until one took less than 29 ms, and returns what that one saw.
///
/// # Errors
/// Those of the attempt.
pub fn promptly<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let begun = Instant::now();
        let seen = attempt()?;
        if begun.elapsed() < PROMPT || begun > end {
            return Ok(seen);
        }
    }
}
