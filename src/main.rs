//! The `counterfoil` binary: see `counterfoil --help`.

use std::process::ExitCode;

/// Measured: a sixth of a refresh's processor time went to the C library, most of it to allocating.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any TLS or JWT: with the provider named here, a missing one is an error at build time.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    counterfoil::cli::run()
}
