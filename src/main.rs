//! The `counterfoil` binary: see `counterfoil --help`.

use std::process::ExitCode;

/// Measured: a sixth of a refresh's processor time went to the C library, most of it to allocating.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    counterfoil::Service::from_environment().command_line()
}
