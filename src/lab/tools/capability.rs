//! What a call answers to somebody who may not, without becoming somebody else.

use std::io;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Makes `call` while this thread lacks `capability`, as any ordinary user does: capabilities(7). It has it back afterwards, if it
/// had it before.
///
/// # Errors
/// Those of capget(2) and capset(2); what the call returned is in the `Ok`.
pub fn without<T>(capability: CapabilitySet, call: impl FnOnce() -> T) -> io::Result<T> {
    let before = capabilities(None)?;
    let mut less = before;
    less.effective.remove(capability);
    set_capabilities(None, less)?;
    let returned = call();
    set_capabilities(None, before)?;
    Ok(returned)
}
