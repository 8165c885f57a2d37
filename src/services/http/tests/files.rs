//! Files, their parts and conditions, as a session sends them.

use std::fs;
use std::path::PathBuf;

use super::*;

struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-http-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("sub/deep")).unwrap();
        fs::write(path.join("a.txt"), "0123456789").unwrap();
        fs::write(path.join("empty.css"), "").unwrap();
        fs::write(path.join("sub/index.html"), "<p>sub").unwrap();
        fs::write(path.join(".env"), "secret").unwrap();
        Self(path)
    }

    fn pair(&self) -> SessionPair<Http> {
        let root = Some(Root::open(&self.0).unwrap());
        pair_with(HttpConfig { root, ..config() }, Limits::default())
    }

    fn hear(&self, path: &str, fields: &str) -> String {
        String::from_utf8(self.pair().send(get(path, fields).as_bytes())).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_folders_and_what_is_neither() {
    let tree = Tree::new("files");
    for (path, status, body) in [
        ("/a.txt", "200", "0123456789"),
        ("/a.txt?x=/../y", "200", "0123456789"),
        ("/%61.txt", "200", "0123456789"),
        ("/empty.css", "200", ""),
        ("/sub/", "200", "<p>sub"),
        ("/plaintext", "200", "Hello, World!"),
        ("/sub/deep/", "404", "there is no such file\n"),
        ("/none", "404", "there is no such file\n"),
        ("/a.txt/", "404", "there is no such file\n"),
        ("/.env", "404", "there is no such file\n"),
        ("/%2eenv", "404", "there is no such file\n"),
        ("//a.txt", "404", "there is no such file\n"),
        ("/../a.txt", "400", "a path with . or .. in it\n"),
        ("/%2e%2e/a.txt", "400", "a path with . or .. in it\n"),
        ("/sub%2findex.html", "400", "an encoded slash in the path\n"),
        ("/a.txt%00", "400", "a NUL in the path\n"),
    ] {
        let answer = tree.hear(path, "");
        assert_eq!(split(&answer), (status, body), "{path}");
    }
    let moved = tree.hear("/sub", "");
    assert!(split(&moved).0 == "301" && moved.contains("\r\nLocation: /sub/\r\n"), "{moved}");
    assert!(
        tree.hear("/", "").contains("oneloop serve http"),
        "no index, so the page that says what there is"
    );
    assert!(tree.hear("/a.txt", "").contains("Content-Type: text/plain; charset=utf-8\r\n"));
    fs::write(tree.0.join("index.html"), "<p>mine").unwrap();
    assert_eq!(split(&tree.hear("/", "")).1, "<p>mine");
}

#[test]
fn parts_and_conditions_of_a_file() {
    let tree = Tree::new("parts");
    let whole = tree.hear("/a.txt", "");
    let field = |name: &str| {
        let line = whole.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len() + 2..].to_owned()
    };
    let (tag, modified) = (field("ETag"), field("Last-Modified"));
    for (fields, status, body) in [
        ("Range: bytes=2-4\r\n".to_owned(), "206", "234"),
        ("Range: bytes=-3\r\n".into(), "206", "789"),
        (format!("Range: bytes=8-\r\nIf-Range: {tag}\r\n"), "206", "89"),
        ("Range: bytes=8-\r\nIf-Range: \"x\"\r\n".into(), "200", "0123456789"),
        ("Range: bytes=10-\r\n".into(), "416", "the file has no such part\n"),
        ("Range: bytes=0-1,3-4\r\n".into(), "200", "0123456789"),
        (format!("If-Modified-Since: {modified}\r\n"), "304", ""),
        (format!("If-None-Match: {tag}\r\n"), "304", ""),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".into(), "200", "0123456789"),
    ] {
        let answer = tree.hear("/a.txt", &fields);
        assert_eq!(split(&answer), (status, body), "{fields}");
    }
    assert!(tree.hear("/a.txt", "Range: bytes=2-4\r\n").contains("Content-Range: bytes 2-4/10\r\n"));
    assert!(tree.hear("/a.txt", "Range: bytes=99-\r\n").contains("Content-Range: bytes */10\r\n"));
    let head = get("/a.txt", "Range: bytes=2-4\r\n").replace("GET", "HEAD");
    let answer = String::from_utf8(tree.pair().send(head.as_bytes())).unwrap();
    assert!(split(&answer) == ("200", "") && answer.contains("Content-Length: 10\r\n"));
}

#[test]
fn a_large_file_is_sent_as_it_is_taken_and_one_that_shrinks_ends_early() {
    let tree = Tree::new("large");
    let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(tree.0.join("large.bin"), &content).unwrap();
    let mut pair = tree.pair();
    pair.set_room(100_000);
    let mut heard = pair.send(get("/large.bin", "").as_bytes());
    while heard.len() < content.len() {
        assert!(pair.buffered() <= 66 * 1024);
        heard.extend(pair.set_room(100_000));
        heard.extend(pair.advance(Duration::from_millis(2)));
    }
    heard.extend(pair.set_room(usize::MAX));
    assert!(heard.ends_with(&content));

    let mut pair = tree.pair();
    pair.set_room(100_000);
    pair.send(get("/large.bin", "").as_bytes());
    fs::write(tree.0.join("large.bin"), "short").unwrap();
    pair.set_room(usize::MAX);
    pair.advance(Duration::from_millis(2));
    assert!(pair.is_write_shut(), "what was promised cannot be sent");
}
