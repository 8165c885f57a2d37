//! Sends every frame back.

use crate::session::{Context, Service};

/// Sends every frame back, from the buffer it was read into where the framing allows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Service for Echo {
    #[inline]
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        cx.reply_input(0..frame.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{LengthPrefixed, Lines, Raw};
    use crate::session::Framed;
    use crate::testing::SessionPair;

    #[test]
    fn raw_bytes_come_back_as_they_were() {
        let mut pair = SessionPair::new(Framed::new(Raw, Echo));
        assert_eq!(pair.send(b"exit\r\n\0\xff"), b"exit\r\n\0\xff");
    }

    #[test]
    fn lines_are_answered_with_lf_and_a_last_unterminated_line_counts() {
        let mut pair = SessionPair::new(Framed::new(Lines::default(), Echo));
        assert_eq!(pair.send(b"a\r\nb\n\nla"), b"a\nb\n\n");
        assert_eq!(pair.send(b"st"), b"");
        assert_eq!(pair.send_eof(), b"last\n");
    }

    #[test]
    fn frames_split_anywhere_come_back_whole() {
        let wire = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d";
        for cut in 0..=wire.len() {
            let mut pair = SessionPair::new(Framed::new(LengthPrefixed::len32(1024), Echo));
            let mut out = pair.send(&wire[..cut]);
            out.extend(pair.send(&wire[cut..]));
            assert_eq!(out, wire, "cut at {cut}");
        }
    }
}
