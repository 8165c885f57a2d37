//! The fuzzer's bytes, read one after another; when there are no more, everything is 0.

use oneloop::codec::Framing;

pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// At most `count` bytes as they are.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    /// Framings that differ in what a decoder has to remember between two reads.
    pub fn framing(&mut self) -> Framing {
        let text = self.pick(&[
            "raw",
            "lines",
            "len16",
            "len32",
            "len32le",
            "fixed:1",
            "fixed:3",
            "fixed:8",
            r"delimited:\n",
            r"delimited:\r\n",
            "delimited:--",
            "delimited:aab",
            "delimited:a-a-a",
            r"delimited:\0",
            "delimited:lo",
        ]);
        text.parse().expect("spelled correctly")
    }
}
