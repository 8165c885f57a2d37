//! A child's two pipes, read in the wrong order.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};

use rustix::io::ioctl_fionread;

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::{asleep, hangup, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/samples/children.rs", text: include_str!("children.rs"), experiments: &[Z04] };

const Z04: Experiment = Experiment {
    id: "Z04",
    core: false,
    title: "Remote commands, the server: reading stderr before stdout deadlocks above 64 KiB",
    claim: "With pipes for stdout and stderr, and stderr read to its end first, a child that writes more than a pipe holds to \
        stdout blocks, never closes stderr, and the parent waits for ever. Besides, any output on stderr discards stdout; a \
        stdin that is left open hangs commands that read it; and a shell runs whatever the network says.",
    why: "Two pipes are two sources of readiness, which is exactly what an event loop is for. Never offer a remote shell: use a \
        fixed table of commands.",
    source: "a tutorial's server for remote commands; Python's subprocess, \"use communicate()\"; pipe(7)",
    needs: &[],
    run: two_pipes_in_the_wrong_order,
    helper: None,
};

fn two_pipes_in_the_wrong_order(lab: &mut Lab) -> Result<(), Stop> {
    const OUTPUT: usize = 1_000_000;
    lab.step("A child writes a million bytes to stdout; the parent reads stderr to its end first");
    let mut command = Command::new("head");
    let mut child = piped(command.args(["-c", &OUTPUT.to_string(), "/dev/zero"]))?;
    let (mut stdout, mut stderr) = outputs(&mut child)?;
    let mut parent = asleep::start(move || to_end(&mut stderr))?;
    let full = || ioctl_fionread(&stdout).map_err(io::Error::from);
    wait::until("nothing was written", || full().map(|count| count > 0))?;
    lab.expect("the parent is asleep", parent.stays_asleep()?, true);
    lab.expect("the child has ended", child.try_wait()?.is_some(), false);
    let held = full()?;
    lab.number("bytes in the pipe", held, "F_SETPIPE_SZ; 65536 by default");
    lab.expect_that("it holds a part", "more than 0, less than a million", held, {
        held > 0 && held < OUTPUT as u64
    });

    lab.step("Somebody reads stdout after all, and both come free");
    let written = lab.call("read(stdout) to the end", to_end(&mut stdout).map(|text| text.len()))?;
    lab.expect("bytes the child wrote", written, OUTPUT);
    let errors = lab.call("read(stderr) to the end", parent.woken()?)?;
    lab.expect("what stderr had", errors, "");
    child.wait()?;

    warning_instead_of_reply(lab)?;
    stdin_left_open(lab)?;

    lab.step("The same text for a shell, and for a program");
    let text = "hi; echo injected";
    let shell = output(Command::new("sh").args(["-c", &format!("echo {text}")]))?;
    lab.expect("a shell", shell, "hi injected");
    lab.expect("a program", output(Command::new("echo").arg(text))?, text);
    Ok(())
}

fn warning_instead_of_reply(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A child that warns, and answers; the tutorial sends stderr if there is any, else stdout");
    let mut child = piped(Command::new("sh").args(["-c", "echo warning >&2; echo answer"]))?;
    let (mut stdout, mut stderr) = outputs(&mut child)?;
    let (errors, answer) = (to_end(&mut stderr)?, to_end(&mut stdout)?);
    child.wait()?;
    lab.expect("the child's answer", answer.trim(), "answer");
    let reply = if errors.is_empty() { answer } else { errors };
    lab.expect("what the client is sent", reply.trim(), "warning");
    Ok(())
}

fn stdin_left_open(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A child that reads its stdin, which is a pipe that nobody writes to or closes");
    let mut child = piped(Command::new("cat").stdin(Stdio::piped()))?;
    let (mut stdout, _stderr) = outputs(&mut child)?;
    let mut parent = asleep::start(move || to_end(&mut stdout))?;
    lab.expect("the parent is asleep", parent.stays_asleep()?, true);
    lab.call("close(stdin)", hangup::close(child.stdin.take()))?;
    let text = lab.call("read(stdout) to the end", parent.woken()?)?;
    lab.expect("what cat had to say", text, "");
    child.wait()?;
    Ok(())
}

fn piped(command: &mut Command) -> io::Result<Child> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn outputs(child: &mut Child) -> io::Result<(std::process::ChildStdout, std::process::ChildStderr)> {
    child.stdout.take().zip(child.stderr.take()).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}

fn to_end(pipe: &mut impl Read) -> io::Result<String> {
    let mut text = String::new();
    pipe.read_to_string(&mut text)?;
    Ok(text)
}

/// What a command prints, on one line.
fn output(command: &mut Command) -> io::Result<String> {
    let printed = command.stdin(Stdio::null()).output()?.stdout;
    Ok(String::from_utf8_lossy(&printed).trim().replace('\n', " "))
}
