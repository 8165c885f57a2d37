//! Statuses as they stand in the first line of an answer.

/// A status code and its phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) &'static str);

impl Status {
    pub(super) const OK: Self = Self("200 OK");
    pub(super) const PARTIAL: Self = Self("206 Partial Content");
    pub(super) const MOVED: Self = Self("301 Moved Permanently");
    pub(super) const NOT_MODIFIED: Self = Self("304 Not Modified");
    pub(super) const BAD_REQUEST: Self = Self("400 Bad Request");
    pub(super) const FORBIDDEN: Self = Self("403 Forbidden");
    pub(super) const NOT_FOUND: Self = Self("404 Not Found");
    pub(super) const METHOD: Self = Self("405 Method Not Allowed");
    pub(super) const TIMEOUT: Self = Self("408 Request Timeout");
    pub(super) const BODY_TOO_LARGE: Self = Self("413 Content Too Large");
    pub(super) const TARGET_TOO_LONG: Self = Self("414 URI Too Long");
    pub(super) const RANGE: Self = Self("416 Range Not Satisfiable");
    pub(super) const EXPECTATION: Self = Self("417 Expectation Failed");
    pub(super) const MISDIRECTED: Self = Self("421 Misdirected Request");
    pub(super) const HEAD_TOO_LARGE: Self = Self("431 Request Header Fields Too Large");
    pub(super) const NOT_IMPLEMENTED: Self = Self("501 Not Implemented");
    pub(super) const UNAVAILABLE: Self = Self("503 Service Unavailable");
    pub(super) const VERSION: Self = Self("505 HTTP Version Not Supported");

    /// Whether it says that nothing came of the request.
    pub(super) fn is_error(self) -> bool {
        self.0.as_bytes()[0] >= b'4'
    }
}
