//! The table on the loop over the simulated kernel, kind and unkind.

use oneloop::testing::sim::Transcript;

use crate::table::table;

/// Kernels each transcript must live through that does not depend on how its bytes are cut.
const SEEDS: u64 = 300;

#[test]
fn the_loop_on_a_kind_kernel_keeps_to_every_transcript() {
    for case in table() {
        for steps in case.variants() {
            match Transcript::new(&steps).play(case.make.clone()) {
                Ok(took) => assert!(took >= case.takes, "{}: took only {took:?}", case.name),
                Err(failure) => panic!("{}: {failure}", case.name),
            }
        }
    }
}

#[test]
fn the_loop_on_unkind_kernels_says_the_same_where_it_must_not_matter_how_bytes_are_cut() {
    for case in table().iter().filter(|case| case.cut && !case.large) {
        println!("{}", case.name);
        Transcript::new(&case.steps).survives_any_kernel(SEEDS, case.make.clone());
    }
}
