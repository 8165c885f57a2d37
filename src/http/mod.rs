//! HTTP/1.1 as bytes: what the server and the clients must both know about a message's end (RFC 9112).
//!
//! No sockets and no clock. Where a message ends decides whose bytes the next ones are, so whatever two readers
//! could read in two ways is refused rather than guessed at.

mod chunked;
mod compose;
mod date;
mod length;
mod media;
mod request;
mod response;
mod url;

pub use self::chunked::{ChunkError, Chunked, MAX_CHUNK_LINE, MAX_TRAILERS, Piece};
pub use self::compose::{ClientRequest, Field, FieldError, is_method};
pub use self::date::{DATE_LEN, http_date, parse_http_date};
pub use self::length::{LengthError, agree_on_length, parse_length};
pub use self::media::media_type;
pub use self::request::{
    BodyLength, Expect, HeadError, MAX_HEAD, MAX_HEADERS, MAX_LINE, Request, is_worth_another_look,
    parse_request,
};
pub use self::response::{
    Ends, Facts, MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS, MAX_RESPONSE_LINE, Part, ResponseError,
    ResponseReader, for_each_field, parse_head,
};
pub use self::url::{Url, UrlError};
