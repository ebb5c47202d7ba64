//! The simulator: thousands of worlds in which everything breaks, and no violation; and the proof
//! that it would find one, by bugs that were planted.
//!
//! A violation prints its seed; `SIMULATOR_SEED=n cargo test -p tests simulat` lives through that
//! world alone.

use ledger::planted::Bug;
use tests::simulator::{self, Bugs};

#[test]
fn a_seed_is_always_the_same_world() {
    for seed in 0..20 {
        let (first, second) = (simulator::trace(seed), simulator::trace(seed));
        let differs = first.iter().zip(&second).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

#[test]
fn the_world_of_the_seed_that_was_asked_for() {
    let Ok(seed) = std::env::var("SIMULATOR_SEED") else { return };
    let seed = seed.parse().expect("a number");
    let summary = simulator::run([seed], Bugs::default());
    println!("{:?}", summary.unwrap_or_else(|violation| panic!("{}", violation.words)));
}

/// Worlds per test, so that they run side by side.
const SEEDS: u64 = 625;

macro_rules! worlds_from {
    ($($name:ident: $first:literal,)*) => {
        $(#[test]
        fn $name() {
            if let Err(violation) = simulator::run($first..$first + SEEDS, Bugs::default()) {
                panic!("seed {}: {}", violation.seed, violation.words);
            }
        })*
    };
}

worlds_from! {
    nothing_is_lost_or_doubled_from_seed_0: 0,
    nothing_is_lost_or_doubled_from_seed_625: 625,
    nothing_is_lost_or_doubled_from_seed_1250: 1_250,
    nothing_is_lost_or_doubled_from_seed_1875: 1_875,
    nothing_is_lost_or_doubled_from_seed_2500: 2_500,
    nothing_is_lost_or_doubled_from_seed_3125: 3_125,
    nothing_is_lost_or_doubled_from_seed_3750: 3_750,
    nothing_is_lost_or_doubled_from_seed_4375: 4_375,
}

/// Worlds in which a planted bug must be found.
const FOUND_WITHIN: u64 = 1_000;

macro_rules! planted {
    ($($name:ident: $bug:ident $known_to:ident,)*) => {
        $(#[test]
        fn $name() {
            let violation = simulator::run(0..FOUND_WITHIN, Bugs::$known_to(Bug::$bug));
            let violation = violation.expect_err("the bug is found");
            println!("seed {}: {}", violation.seed, violation.words);
        })*
    };
}

planted! {
    a_reply_before_the_commit_is_found: ReplyBeforeCommit unknown_to_the_judge,
    a_key_that_is_not_stored_with_its_effect_is_found: KeyNotStored unknown_to_the_judge,
    a_key_compared_without_its_content_is_found: KeyWithoutContent unknown_to_the_judge,
    a_stale_state_after_a_failed_commit_is_found: StaleState unknown_to_the_judge,
    a_lapse_not_posted_before_judging_is_found: LapseNotPosted unknown_to_the_judge,
    a_released_hold_given_back_twice_is_found: ReleasedTwice unknown_to_the_judge,
    a_draw_in_the_wrong_order_is_found: DrawOrder unknown_to_the_judge,
    a_sequence_reused_after_a_crash_is_found: SequenceReused unknown_to_the_judge,
    a_receiver_that_is_not_locked_is_found: ReceiverNotLocked unknown_to_the_judge,
    a_watch_that_shows_what_is_not_committed_is_found: WatchUncommitted unknown_to_the_judge,
    the_laws_alone_find_a_lapse_not_posted: LapseNotPosted shared_by_the_judge,
    the_laws_alone_find_a_hold_given_back_twice: ReleasedTwice shared_by_the_judge,
    the_laws_alone_find_a_draw_in_the_wrong_order: DrawOrder shared_by_the_judge,
}
