//! What a file is, by the end of its name. A short table: what browsers need to be told, and bytes for everything else.

const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The `Content-Type` of the file with this name; `application/octet-stream` where the end of the name says nothing.
///
/// ```
/// assert_eq!(oneloop::http::media_type(b"a/b.HTML"), "text/html; charset=utf-8");
/// assert_eq!(oneloop::http::media_type(b"html"), "application/octet-stream");
/// ```
#[must_use]
pub fn media_type(name: &[u8]) -> &'static str {
    let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let dot = memchr::memrchr(b'.', file);
    let end = dot.map_or(&b""[..], |dot| &file[dot + 1..]);
    let found = TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known.as_bytes()));
    found.map_or("application/octet-stream", |(_, media)| media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_last_part_of_a_name_counts() {
        for (name, expected) in [
            ("a.tar.gz", "application/gzip"),
            ("a.html/b", "application/octet-stream"),
            ("a.html.", "application/octet-stream"),
            (".html", "text/html; charset=utf-8"),
            ("a.JPG", "image/jpeg"),
            ("a.exe", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_says_each_end_once() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
