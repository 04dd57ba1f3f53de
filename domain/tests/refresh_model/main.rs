//! What the refresh rules promise, in whatever order things happen.
//!
//! A model checker goes through every order: clients of one session present their tokens to two nodes, which decide on
//! what they remember of the account and commit if its log has not moved on; answers get lost, nodes crash, time passes.
//! The decisions are the aggregate's own. `world` holds what stands around them, `promises` what must hold of the log.

mod promises;
mod world;

use std::num::NonZero;
use std::thread::available_parallelism;

use stateright::{Checker as _, Model as _};

use world::Model;

/// Goes through every state there is within the model's bounds.
fn check(name: &str, model: Model) {
    let threads = available_parallelism().map_or(1, NonZero::get);
    let checker = model.checker().threads(threads).spawn_bfs().join();
    eprintln!("{name}: {} states, at most {} steps deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

#[test]
fn two_copies_and_a_thief_never_fork_a_session_nor_keep_it_after_a_reuse() {
    check("two copies and a thief", Model::copies_and_a_thief());
}

#[test]
fn a_client_that_loses_answers_and_asks_again_in_time_stays_signed_in() {
    check("a patient client", Model::patient_client());
}
