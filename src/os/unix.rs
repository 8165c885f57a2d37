//! Unix sockets with a name (unix(7)): who may connect, what to do with a path left behind, and tidying up.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::sockets::ListenOptions;
use crate::address::UnixName;

/// The file of a listening socket, removed when this is dropped, if it is still the same.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: another server may have put its own socket there meanwhile.
    id: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        // The directory may be left later; a relative path would then name something else.
        Ok(Self { path: std::path::absolute(path)?, id: (found.dev(), found.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.id);
        if same && let Err(error) = fs::remove_file(&self.path) {
            log::warn!("cannot remove socket path={} error=\"{error}\"", self.path.display());
        }
    }
}

/// Makes a non-blocking listener and says which file it made.
pub(super) fn listen(
    name: &UnixName,
    options: &ListenOptions,
) -> io::Result<(UnixListener, Option<SocketFile>)> {
    let (socket, file) = match name {
        UnixName::Path(path) => {
            let (socket, file) = bind_path(path, options.unix_mode, Type::STREAM)?;
            (socket, Some(file))
        }
        UnixName::Abstract(name) => (bind_abstract(name, Type::STREAM)?, None),
        UnixName::Unnamed => return Err(io::Error::other("a listener needs a path or an abstract name")),
    };
    socket.set_nonblocking(true)?;
    socket.listen(options.backlog)?;
    Ok((socket.into(), file))
}

/// Makes a non-blocking datagram socket and says which file it made.
pub(super) fn bind_datagrams(name: &UnixName, mode: u32) -> io::Result<(Socket, Option<SocketFile>)> {
    let (socket, file) = match name {
        UnixName::Path(path) => {
            let (socket, file) = bind_path(path, mode, Type::DGRAM)?;
            (socket, Some(file))
        }
        UnixName::Abstract(name) => (bind_abstract(name, Type::DGRAM)?, None),
        UnixName::Unnamed => return Err(io::Error::other("a server needs a path or an abstract name")),
    };
    socket.set_nonblocking(true)?;
    Ok((socket, file))
}

fn bind_path(path: &Path, mode: u32, kind: Type) -> io::Result<(Socket, SocketFile)> {
    let socket = match bind_new(path, mode, kind) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path, kind)?;
            bind_new(path, mode, kind)?
        }
        other => other?,
    };
    let file = SocketFile::at(path)?;
    // The umask may have taken away what was asked for; nobody can connect before listen(2).
    if fs::symlink_metadata(path)?.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok((socket, file))
}

/// The mode is set before the file exists, so that it is never open to more than it should be.
fn bind_new(path: &Path, mode: u32, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(socket)
}

fn bind_abstract(name: &[u8], kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.bind(&abstract_address(name)?)?;
    Ok(socket)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    let mut with_zero = vec![0];
    with_zero.extend_from_slice(name);
    SockAddr::unix(std::ffi::OsStr::from_bytes(&with_zero))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_address(_name: &[u8]) -> io::Result<SockAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "abstract names exist on Linux only"))
}

/// Removes what a server left behind that did not end properly: a socket, our own, on which nobody listens.
fn remove_stale(path: &Path, kind: Type) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.file_type().is_socket() {
        return refuse("the path exists and is no socket; remove it, or choose another path");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse("the socket there belongs to another user; choose another path");
    }
    if !is_refused(path, kind)? {
        return refuse(
            "another program listens there: `ss -lxp` shows which; stop it, or choose another path",
        );
    }
    log::info!("removing a socket nobody listens on path={}", path.display());
    fs::remove_file(path)
}

fn refuse(why: &str) -> io::Result<()> {
    Err(io::Error::other(why))
}

/// Whether nobody listens there. A queue that is full (EAGAIN) is somebody's, and so is a socket of another kind (EPROTOTYPE).
fn is_refused(path: &Path, kind: Type) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, kind, None)?;
    probe.set_nonblocking(true)?;
    let outcome = probe.connect(&SockAddr::unix(path)?);
    Ok(outcome.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("oneloop-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("s")
        }

        fn listen(&self, mode: u32) -> io::Result<(UnixListener, Option<SocketFile>)> {
            let options = ListenOptions { unix_mode: mode, ..ListenOptions::default() };
            listen(&UnixName::Path(self.socket()), &options)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_mode_is_the_one_asked_for_and_the_path_goes_with_the_listener() {
        let folder = Folder::new("mode");
        for mode in [0o600, 0o666, 0o660] {
            let (_listener, file) = folder.listen(mode).unwrap();
            assert_eq!(mode_of(&folder.socket()), mode, "{mode:o}");
            drop(file);
            assert!(!folder.socket().exists());
        }
    }

    #[test]
    fn a_path_left_behind_is_taken_over() {
        let folder = Folder::new("stale");
        let (listener, file) = folder.listen(0o600).unwrap();
        // As after kill -9: the file stays, nobody listens.
        std::mem::forget(file);
        drop(listener);
        assert!(folder.socket().exists());
        let (_listener, _file) = folder.listen(0o600).unwrap();
        UnixStream::connect(folder.socket()).unwrap();
    }

    #[test]
    fn a_socket_in_use_and_a_file_that_is_none_are_left_alone() {
        let folder = Folder::new("use");
        let (first, file) = folder.listen(0o600).unwrap();
        let error = folder.listen(0o600).unwrap_err().to_string();
        assert!(error.contains("ss -lxp"), "{error}");
        UnixStream::connect(folder.socket()).unwrap();
        drop((first, file));
        fs::write(folder.socket(), "precious").unwrap();
        let error = folder.listen(0o600).unwrap_err().to_string();
        assert!(error.contains("no socket"), "{error}");
        assert_eq!(fs::read(folder.socket()).unwrap(), b"precious");
    }

    #[test]
    fn what_another_server_has_put_there_meanwhile_is_not_removed() {
        let folder = Folder::new("replaced");
        let (_old, old_file) = folder.listen(0o600).unwrap();
        fs::remove_file(folder.socket()).unwrap();
        let (_new, _new_file) = folder.listen(0o600).unwrap();
        drop(old_file);
        UnixStream::connect(folder.socket()).unwrap();
    }
}
