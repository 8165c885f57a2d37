//! Descriptors that were open before this program began: whoever started it may have forgotten some.

/// Marks every descriptor but the standard streams close-on-exec, so that no child is given what was never meant for it.
/// Those that we open ourselves are marked from the start. To be called first of all.
pub fn close_inherited_on_exec() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}
