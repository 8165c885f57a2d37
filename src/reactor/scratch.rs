//! The buffer every read goes to: one per reactor, and on a page boundary, where the kernel copies fastest.

/// As much as one read may return, whatever the read budget.
const MAX: usize = 64 * 1024;

#[repr(align(4096))]
struct Pages([u8; MAX]);

/// A buffer of at most 64 KiB.
pub(super) struct Scratch {
    pages: Box<Pages>,
    /// How much of it is used. Invariant: from 1 to [`MAX`].
    len: usize,
}

impl Scratch {
    /// A buffer of `len` bytes, as far as that is possible.
    pub(super) fn new(len: usize) -> Self {
        Self { pages: Box::new(Pages([0; MAX])), len: len.clamp(1, MAX) }
    }

    #[inline(always)]
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.pages.0[..self.len]
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_begins_on_a_page_and_keeps_to_its_length() {
        for (asked, given) in [(0, 1), (1, 1), (4096, 4096), (MAX, MAX), (usize::MAX, MAX)] {
            let mut scratch = Scratch::new(asked);
            assert_eq!(scratch.bytes().len(), given);
            assert_eq!(scratch.bytes().as_ptr().align_offset(4096), 0);
        }
    }
}
