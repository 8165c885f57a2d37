//! A response, as a client reads it: the same in whatever pieces it comes.

use oneloop::http::{Facts, MAX_RESPONSE_HEAD, Part, ResponseReader};

/// What a whole response says, its body, and how much of the stream it is; `None` where it is refused, or not all there.
type Read = Option<(Facts, Vec<u8>, usize)>;

/// The stream alone, and behind the beginning of a response, which it would else rarely be.
pub fn run(stream: &[u8], step: usize) {
    let begun = [b"HTTP/1.1 200 OK\r\n", stream].concat();
    for stream in [stream, &begun] {
        for is_head_request in [false, true] {
            let whole = read(stream, stream.len().max(1), is_head_request);
            for step in [1, step] {
                if stream.len() / step < 2000 {
                    assert_eq!(read(stream, step, is_head_request), whole, "in pieces of {step}");
                }
            }
        }
    }
}

fn read(stream: &[u8], step: usize, is_head_request: bool) -> Read {
    let mut reader = ResponseReader::new(is_head_request);
    let (mut kept, mut body, mut used) = (Vec::new(), Vec::new(), 0);
    for piece in stream.chunks(step) {
        kept.extend_from_slice(piece);
        loop {
            let end = match reader.read(&kept) {
                Err(_) => return None,
                Ok(Part::NeedMore | Part::Done) => break,
                Ok(Part::Head(head)) => head.end,
                Ok(Part::Body(part)) => {
                    body.extend_from_slice(&kept[part.clone()]);
                    part.end
                }
            };
            assert!(end > 0, "a part of nothing");
            kept.drain(..end);
            used += end;
        }
        // Interim responses are shown again until the one that counts has come.
        assert!(reader.is_done() || kept.len() <= 18 * MAX_RESPONSE_HEAD + step, "it keeps {}", kept.len());
    }
    reader.read_end().ok().map(|()| (reader.facts(), body, used))
}
