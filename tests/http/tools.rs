//! Clients that others have written.

use std::process::Command;

use crate::start;
use crate::support::has_program;

#[test]
fn curl_understands_every_answer() {
    if !has_program("curl") {
        return;
    }
    let server = start("loop", &[]);
    let base = format!("http://{}", server.address());
    let curl = |args: &[&str], path: &str| {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "30", "-w", " %{http_code} %{num_connects}"])
            .args(args)
            .arg(format!("{base}{path}"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(curl(&[], "/plaintext"), "Hello, World! 200 1");
    assert_eq!(curl(&["-0"], "/plaintext"), "Hello, World! 200 1");
    assert_eq!(curl(&["-d", "abc"], "/echo"), "abc 200 1");
    assert_eq!(curl(&["-d", "abc", "-H", "Transfer-Encoding: chunked"], "/echo"), "abc 200 1");
    assert_eq!(curl(&["-d", "abc", "-H", "Expect: 100-continue"], "/echo"), "abc 200 1");
    assert_eq!(curl(&["-H", "Host: evil.example", "-o", "/dev/null"], "/"), " 421 1");
    assert_eq!(curl(&["--http2"], "/delay/5"), "waited 5 ms\n 200 1");
    // The second one on the same connection.
    let twice = curl(&[&format!("{base}/json")], "/json");
    assert_eq!(twice, "{\"message\":\"Hello, World!\"} 200 1{\"message\":\"Hello, World!\"} 200 0");
}
