//! Experiments that fail, hang, die and are skipped on purpose: a lab that could only pass would prove nothing.

use std::io;
use std::thread;
use std::time::Duration;

use super::experiment::{Experiment, Page};
use super::notebook::{Lab, Stop};
use super::show::error_name;

pub(super) const PAGES: &[Page] = &[Page {
    path: "src/lab/self_test.rs",
    text: include_str!("self_test.rs"),
    experiments: &[T01, T02, T03, T04, T05],
}];

const CLAIM: &str = "The lab notices.";
const WHY: &str = "A lab that could only pass would prove nothing.";
const SOURCE: &str = "tests/lab.rs";

const T01: Experiment = Experiment {
    id: "T01",
    core: false,
    title: "It observes something else than is claimed",
    claim: CLAIM,
    why: WHY,
    source: SOURCE,
    needs: &[],
    run: a_claim_that_is_wrong,
    helper: None,
};

fn a_claim_that_is_wrong(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A claim that is wrong");
    lab.expect("two and two", 2 + 2, 5);
    Ok(())
}

const T02: Experiment = Experiment {
    id: "T02",
    core: false,
    title: "It does not end",
    claim: CLAIM,
    why: WHY,
    source: SOURCE,
    needs: &[],
    run: without_an_end,
    helper: None,
};

fn without_an_end(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A sleep without an end");
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

const T03: Experiment = Experiment {
    id: "T03",
    core: false,
    title: "It dies",
    claim: CLAIM,
    why: WHY,
    source: SOURCE,
    needs: &[],
    run: a_panic,
    helper: None,
};

fn a_panic(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A panic");
    lab.expect("two and two", 2 + 2, 4);
    panic!("on purpose")
}

const T04: Experiment = Experiment {
    id: "T04",
    core: false,
    title: "It breaks",
    claim: CLAIM,
    why: WHY,
    source: SOURCE,
    needs: &[],
    run: a_call_that_must_work,
    helper: None,
};

fn a_call_that_must_work(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A call that must work, and does not");
    lab.call("open(nothing)", std::fs::File::open("/nonexistent").map(drop))?;
    Ok(())
}

const T05: Experiment = Experiment {
    id: "T05",
    core: false,
    title: "It is skipped",
    claim: CLAIM,
    why: WHY,
    source: SOURCE,
    needs: &[],
    run: something_missing,
    helper: None,
};

fn something_missing(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Something is missing");
    Err(Stop::skip(format!("needs luck; there is {}", error_name(&io::Error::from_raw_os_error(2)))))
}
