//! The program that `script/new-service` makes, compiled here so that its sources fit this version of the library.
//!
//! Run it with `cargo run --example new_service -- --config script/new-service.d/counterfoil.toml serve`.

use std::process::ExitCode;

#[path = "../script/new-service.d/src/lib.rs"]
mod new_service;

fn main() -> ExitCode {
    new_service::service().command_line()
}
