//! HTTP/1.1 as bytes: what the server and the clients must both know about a message's end (RFC 9112).
//!
//! No sockets and no clock. Where a message ends decides whose bytes the next ones are, so whatever two readers
//! could read in two ways is refused rather than guessed at.

mod chunked;
mod date;
mod length;
mod media;
mod request;

pub use self::chunked::{ChunkError, Chunked, MAX_CHUNK_LINE, MAX_TRAILERS, Piece};
pub use self::date::{DATE_LEN, http_date, parse_http_date};
pub use self::length::{LengthError, agree_on_length, parse_length};
pub use self::media::media_type;
pub use self::request::{
    BodyLength, Expect, HeadError, MAX_HEAD, MAX_HEADERS, MAX_LINE, Request, is_worth_another_look,
    parse_request,
};
