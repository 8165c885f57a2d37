//! Answers that are files: the condition, the range, and what is said about them.

use std::fs::File;

use rustix::io::Errno;

use super::answer::Answer;
use super::path::{FilePath, PathError};
use super::range::Part;
use super::reply::Length;
use super::root::{FileInfo, Opened, Root};
use super::status::Status;
use crate::http::{Request, media_type};

/// A file, or a part of one, that is to be sent; or that it need not be.
#[derive(Debug)]
pub(super) struct FileAnswer {
    pub(super) status: Status,
    pub(super) media: &'static str,
    pub(super) length: Length,
    pub(super) fields: String,
    /// Where to read, and from which byte on.
    pub(super) from: Option<(File, u64)>,
}

/// Looks for what `path` names below `root`.
pub(super) fn find_file(root: &Root, path: &str, request: &Request<'_>) -> Answer {
    let named = match FilePath::decode(path) {
        Ok(named) => named,
        Err(PathError::Malformed(why)) => return Answer::text(Status::BAD_REQUEST, why),
        Err(PathError::Hidden) => return none(Errno::NOENT),
    };
    let mut name = named.path;
    if named.is_folder {
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(b"index.html");
    }
    match root.find(&name) {
        Ok(Opened::File(info)) => answer(info, media_type(&name), request),
        // Relative links on the page would lead astray without the slash.
        Ok(Opened::Folder) if !named.is_folder => moved(path),
        Ok(Opened::Folder) => none(Errno::NOENT),
        Err(error) => none(error),
    }
}

/// The path as it was sent: it has no empty part, so that it cannot be taken for another server's name.
fn moved(path: &str) -> Answer {
    Answer::Text {
        status: Status::MOVED,
        fields: format!("Location: {path}/\r\n").into(),
        text: "a folder: its name ends with a slash".into(),
    }
}

fn none(error: Errno) -> Answer {
    match error {
        Errno::ACCESS | Errno::PERM => Answer::text(Status::FORBIDDEN, "this file may not be read"),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::IO => {
            log::debug!("a file cannot be opened error=\"{error}\"");
            Answer::text(Status::UNAVAILABLE, "this file cannot be opened now")
        }
        _ => Answer::text(Status::NOT_FOUND, "there is no such file"),
    }
}

fn answer(info: FileInfo, media: &'static str, request: &Request<'_>) -> Answer {
    let FileInfo { file, size, version } = info;
    let mut fields = version.fields();
    if version.is_known(request) {
        let length = Length::None;
        let answer = FileAnswer { status: Status::NOT_MODIFIED, media: "", length, fields, from: None };
        return Answer::File(Box::new(answer));
    }
    // The type is the one said, whatever the file looks like.
    fields.push_str("Accept-Ranges: bytes\r\nX-Content-Type-Options: nosniff\r\n");
    let (status, range) = match Part::asked_for(request, &version, size) {
        Part::Whole => (Status::OK, 0..size),
        Part::Bytes(range) => {
            fields.push_str(&format!("Content-Range: bytes {}-{}/{size}\r\n", range.start, range.end - 1));
            (Status::PARTIAL, range)
        }
        Part::None => {
            let fields = format!("Content-Range: bytes */{size}\r\n").into();
            return Answer::Text { status: Status::RANGE, fields, text: "the file has no such part".into() };
        }
    };
    let length = Length::Known(range.end - range.start);
    Answer::File(Box::new(FileAnswer { status, media, length, fields, from: Some((file, range.start)) }))
}
