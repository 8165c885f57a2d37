//! `--root`: what is below it, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::client::{Answer, Client};
use crate::{MODELS, start};

struct Tree(PathBuf);

impl Tree {
    /// A folder to be served, beside something that must not be.
    fn new(name: &str) -> Self {
        let base = std::env::temp_dir().join(format!("oneloop-serve-http-{}-{name}", std::process::id()));
        let root = base.join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(base.join("secret.txt"), "secret").unwrap();
        fs::write(root.join("a b.txt"), "0123456789").unwrap();
        fs::write(root.join("sub/index.html"), "<p>sub").unwrap();
        fs::write(root.join(".hidden"), "secret").unwrap();
        let large: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(root.join("large.bin"), large).unwrap();
        symlink("../secret.txt", root.join("out.txt")).unwrap();
        symlink(base.join("secret.txt"), root.join("absolute.txt")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("/", root.join("top")).unwrap();
        symlink("a b.txt", root.join("inside.txt")).unwrap();
        Self(base)
    }

    fn root(&self) -> String {
        self.0.join("root").to_str().unwrap().to_owned()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_served_whole_and_in_parts_on_every_model() {
    let tree = Tree::new("whole");
    let large = fs::read(tree.0.join("root/large.bin")).unwrap();
    for model in MODELS {
        let server = start(model, &["--root", &tree.root()]);
        let mut client = Client::new(server.connect());
        let small = client.get("/a%20b.txt", "");
        assert_eq!((small.status, small.text()), (200, "0123456789"), "{model}");
        assert_eq!(small.field("Content-Type"), "text/plain; charset=utf-8");
        assert_eq!(client.get("/inside.txt", "").text(), "0123456789");
        assert_eq!(client.get("/sub/", "").field("Content-Type"), "text/html; charset=utf-8");
        assert_eq!(client.get("/sub", "").field("Location"), "/sub/");
        assert!(client.get("/large.bin", "").body == large, "{model}");
        let part = client.get("/large.bin", "Range: bytes=1000000-6999999\r\n");
        assert_eq!((part.status, part.field("Content-Range")), (206, "bytes 1000000-6999999/8000000"));
        assert!(part.body == large[1_000_000..7_000_000], "{model}");
        assert_eq!(client.get("/large.bin", "Range: bytes=8000000-\r\n").status, 416);
        let since = format!("If-Modified-Since: {}\r\n", small.field("Last-Modified"));
        assert_eq!(client.get("/a%20b.txt", &since).status, 304, "{model}");
        let tag = format!("If-None-Match: {}\r\n", small.field("ETag"));
        assert_eq!(client.get("/a%20b.txt", &tag).status, 304, "{model}");
        assert_eq!(client.get("/plaintext", "").text(), "Hello, World!");
    }
}

#[test]
fn nothing_outside_is_served_whatever_it_is_called() {
    let tree = Tree::new("outside");
    let secret = tree.0.join("secret.txt");
    for model in MODELS {
        let server = start(model, &["--root", &tree.root()]);
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/.%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/sub/../../secret.txt",
            "/sub/%2e%2e/%2e%2e/secret.txt",
            "/%252e%252e/secret.txt",
            "/..\\secret.txt",
            "/..%5csecret.txt",
            "//etc/passwd",
            "/%2fetc/passwd",
            "///etc/passwd",
            "/out.txt",
            "/absolute.txt",
            "/up/secret.txt",
            "/top/etc/passwd",
            "/.hidden",
            "/%2ehidden",
            "/a%20b.txt%00",
            secret.to_str().unwrap(),
            "http://localhost/../secret.txt",
            "http://localhost//etc/passwd",
        ] {
            let Answer { status, body, .. } = Client::new(server.connect()).get(path, "");
            assert!(matches!(status, 400 | 404), "{model} {path}: {status} {}", body.escape_ascii());
        }
    }
}

#[test]
fn a_file_that_changes_between_two_requests_is_another_one() {
    let tree = Tree::new("change");
    let server = start("loop", &["--root", &tree.root()]);
    let mut client = Client::new(server.connect());
    let before = client.get("/a%20b.txt", "");
    fs::write(tree.0.join("root/a b.txt"), "changed").unwrap();
    let tag = format!("If-None-Match: {}\r\n", before.field("ETag"));
    let after = client.get("/a%20b.txt", &tag);
    assert_eq!((after.status, after.text()), (200, "changed"));
    let part =
        client.get("/a%20b.txt", &format!("Range: bytes=0-1\r\nIf-Range: {}\r\n", before.field("ETag")));
    assert_eq!((part.status, part.text()), (200, "changed"));
}

#[test]
fn descriptors_of_files_are_given_back() {
    let tree = Tree::new("descriptors");
    let server = start("loop", &["--root", &tree.root()]);
    let mut client = Client::new(server.connect());
    assert_eq!(client.get("/plaintext", "").status, 200);
    let before = server.descriptors();
    for _ in 0..5 {
        assert_eq!(client.get("/large.bin", "").status, 200);
        assert_eq!(client.get("/none", "").status, 404);
        assert_eq!(client.get("/sub", "").status, 301);
        assert_eq!(client.get("/large.bin", "If-None-Match: *\r\n").status, 304);
    }
    assert_eq!(server.descriptors(), before);
    // Who leaves in the middle of a file leaves nothing behind either.
    let mut leaver = Client::new(server.connect());
    leaver.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(leaver.head().status, 200);
    drop(leaver);
    server.wait_stats(|line| line.contains(" open=1 "));
    assert_eq!(server.descriptors(), before);
}
