//! The README keeps its word: its server is the example, and the example runs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

fn text(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
}

#[test]
fn the_readmes_server_is_the_example() {
    let readme = text("README.md");
    let (_, block) = readme.split_once("```rust\n").expect("a rust block");
    let (block, _) = block.split_once("```").expect("its end");
    let example = text("docs/examples/shout.rs");
    let example = &example[example.find("use oneloop").expect("an import")..];
    assert_eq!(block, example);
    assert!(block.lines().count() <= 24, "the README calls it twenty lines");
}

#[test]
fn the_readme_opens_with_the_two_commands() {
    let readme = text("README.md");
    let place =
        |command: &str| readme.find(&format!("\n{command}\n")).unwrap_or_else(|| panic!("no {command}"));
    assert!(place("cargo run --release -- serve greet") < place("cargo test"));
    assert!(place("cargo test") < readme.find("\n## ").expect("a heading"));
}

/// The example as `cargo test` has built it; built now when only this test was asked for.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    let path = folder.join("examples/shout");
    if !path.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", "shout"]).status();
        assert!(built.expect("cargo").success());
    }
    path
}

#[test]
fn the_example_shouts() {
    let mut server = Command::new(example())
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    let answer = line.trim().strip_prefix("listening tcp://").map(shout_at);
    server.kill().expect("our own child");
    server.wait().expect("our own child");
    assert_eq!(answer.as_deref(), Some("HELLO\nWORLD\n"), "{line}");
}

fn shout_at(address: &str) -> String {
    let patience = Some(Duration::from_secs(30));
    let converse = || -> std::io::Result<String> {
        let mut client = TcpStream::connect(address)?;
        client.set_read_timeout(patience)?;
        client.write_all(b"hello\r\nwor")?;
        client.write_all(b"ld")?;
        client.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        Ok(answer)
    };
    converse().unwrap_or_else(|error| error.to_string())
}
