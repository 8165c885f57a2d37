//! The folder whose files are served, and opening what is in it without ever leaving it.
//!
//! The kernel resolves a path below a descriptor (openat2(2), `RESOLVE_BENEATH`): `..`, an absolute path and a symbolic link
//! that leads out end in EXDEV, and nobody can change a folder between a check and its use, because there is no check.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use super::range::Version;

/// What is opened is read only, never becomes a terminal of ours, never reaches a child, and does not wait: not for the
/// other end of a named pipe either.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// A folder whose files are served.
#[derive(Clone)]
pub struct Root {
    folder: Arc<OwnedFd>,
    /// The kernel has no openat2(2): every part of a path is opened by itself, and no symbolic link is followed.
    step_by_step: bool,
}

/// Something that was opened below a root.
#[derive(Debug)]
pub(super) enum Opened {
    File(FileInfo),
    Folder,
}

/// A regular file, and what is said about it.
#[derive(Debug)]
pub(super) struct FileInfo {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) version: Version,
}

impl Root {
    /// The folder at `path`. Where it is moved to later does not matter: it is kept open.
    ///
    /// # Errors
    /// It is no folder, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let folder = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // Whether it may be searched shows now rather than with the first request.
        let step_by_step = match beneath(&folder, b".") {
            Ok(_) => false,
            Err(Errno::NOSYS) => true,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { folder: Arc::new(folder), step_by_step })
    }

    /// Whether symbolic links are followed as far as they stay inside; otherwise (before Linux 5.6) none is.
    #[must_use]
    pub const fn follows_links(&self) -> bool {
        !self.step_by_step
    }

    /// Opens what has this path below the folder; the empty one is the folder itself.
    pub(super) fn find(&self, path: &[u8]) -> Result<Opened, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let found = if self.step_by_step { self.walk(path) } else { beneath(&self.folder, path) }?;
        let stat = fstat(&found)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(Opened::Folder),
            FileType::RegularFile => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                let version = Version::new(stat.st_mtime, stat.st_mtime_nsec, size);
                Ok(Opened::File(FileInfo { file: found.into(), size, version }))
            }
            // Sockets, pipes and devices are nobody's business.
            _ => Err(Errno::NOENT),
        }
    }

    fn walk(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let last = parts.pop().unwrap_or(b".");
        let mut folder: Option<OwnedFd> = None;
        for part in parts {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = Some(openat(folder.as_ref().unwrap_or(&self.folder), part, flags, Mode::empty())?);
        }
        openat(folder.as_ref().unwrap_or(&self.folder), last, READ | OFlags::NOFOLLOW, Mode::empty())
    }
}

fn beneath(folder: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: something was renamed meanwhile, and the kernel cannot be sure (openat2(2)).
    for _ in 0..8 {
        match openat2(folder, path, READ, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("follows_links", &self.follows_links()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let base = std::env::temp_dir().join(format!("oneloop-root-{}-{name}", std::process::id()));
            fs::create_dir_all(base.join("root/sub")).unwrap();
            fs::write(base.join("root/a.txt"), "inside").unwrap();
            fs::write(base.join("root/sub/b.txt"), "below").unwrap();
            fs::write(base.join("secret"), "outside").unwrap();
            symlink("../secret", base.join("root/out")).unwrap();
            symlink(base.join("secret"), base.join("root/absolute")).unwrap();
            symlink(base.join("root/a.txt"), base.join("root/absolute-inside")).unwrap();
            symlink("..", base.join("root/up")).unwrap();
            symlink("a.txt", base.join("root/link")).unwrap();
            symlink("sub", base.join("root/folder-link")).unwrap();
            symlink("loop", base.join("root/loop")).unwrap();
            symlink("/proc/self/root", base.join("root/magic")).unwrap();
            Self(base)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read(root: &Root, path: &str) -> Option<String> {
        match root.find(path.as_bytes()) {
            Ok(Opened::File(info)) => {
                let text = io::read_to_string(info.file).unwrap();
                assert_eq!(text.len() as u64, info.size);
                Some(text)
            }
            _ => None,
        }
    }

    #[test]
    fn no_path_and_no_link_leads_out_however_it_is_opened() {
        let tree = Tree::new("escape");
        let root = Root::open(&tree.0.join("root")).unwrap();
        assert!(root.follows_links(), "this kernel has openat2(2)");
        let old = Root { step_by_step: true, ..root.clone() };
        for root in [&root, &old] {
            assert_eq!(read(root, "a.txt").as_deref(), Some("inside"));
            assert_eq!(read(root, "sub/b.txt").as_deref(), Some("below"));
            for path in [
                "out",
                "absolute",
                "absolute-inside",
                "up/secret",
                "loop",
                "magic/etc/passwd",
                "none",
                "sub/none",
                "a.txt/x",
            ] {
                assert_eq!(read(root, path), None, "{path}");
            }
        }
        for path in ["../secret", "sub/../../secret", "/etc/passwd"] {
            assert_eq!(read(&root, path), None, "{path}");
        }
        for (path, text) in [("link", "inside"), ("folder-link/b.txt", "below")] {
            assert_eq!(read(&root, path).as_deref(), Some(text), "{path}");
            assert_eq!(read(&old, path), None, "{path}");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_not_served() {
        let tree = Tree::new("pipe");
        let pipe = tree.0.join("root/pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let root = Root::open(&tree.0.join("root")).unwrap();
        assert_eq!(root.find(b"pipe").unwrap_err(), Errno::NOENT);
        assert!(matches!(root.find(b""), Ok(Opened::Folder)));
        assert!(matches!(root.find(b"sub"), Ok(Opened::Folder)));
    }

    #[test]
    fn a_root_is_a_folder() {
        let tree = Tree::new("kind");
        assert!(Root::open(&tree.0.join("root/a.txt")).is_err());
        assert!(Root::open(&tree.0.join("none")).is_err());
    }
}
