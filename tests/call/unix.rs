//! Unix stream sockets: by path and by abstract name.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::thread;

use crate::peers::*;

/// Greets one caller in upper case.
fn shout(listener: UnixListener) {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody calls");
        stream.write_all(b"HELLO").expect("it reads");
        let mut buffer = [0; 64];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            buffer[..len].make_ascii_uppercase();
            stream.write_all(&buffer[..len]).expect("it reads");
        }
    });
}

#[test]
fn a_path_is_called() {
    let folder = Folder::new("unix");
    let path = folder.path("my.sock");
    shout(UnixListener::bind(&path).unwrap());
    call(&format!("unix:{path}"), &["a", "b"]).expect("HELLO\nA\nB\n");
}

#[test]
fn an_abstract_name_is_called() {
    let name = format!("oneloop-call-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    shout(UnixListener::bind_addr(&address).unwrap());
    call(&format!("unix:@{name}"), &["a", "b"]).expect("HELLO\nA\nB\n");
}

#[test]
fn a_path_that_is_not_there_and_one_nobody_listens_on_are_two_things() {
    let folder = Folder::new("no-unix");
    let url = format!("unix:{}", folder.path("missing"));
    call(&url, &["a"]).expect_failure(1, "", &[&url, "no such socket"]);
    let path = folder.path("old.sock");
    drop(UnixListener::bind(&path).unwrap());
    let url = format!("unix:{path}");
    call(&url, &["a"]).expect_failure(1, "", &[&url, "connection refused", "nobody listens on that socket"]);
}
