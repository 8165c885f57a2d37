//! Looking before a delayed ACK comes.
//!
//! A receiver acknowledges 40 ms late at the earliest (TCP_DELACK_MIN). A program that is kept from its processor for so long sees
//! what no claim is about; it looks again.

use std::io;
use std::time::{Duration, Instant};

/// Far from 40 ms, and ten times what it takes.
const PROMPT: Duration = Duration::from_millis(10);

/// How often we look, before what we saw has to do.
const ATTEMPTS: usize = 50;

/// Makes `attempt` anew until one took less than 10 ms, and returns what that one saw.
///
/// # Errors
/// Those of the attempt.
pub fn promptly<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        let begun = Instant::now();
        let seen = attempt()?;
        if begun.elapsed() < PROMPT {
            return Ok(seen);
        }
    }
    attempt()
}
