//! The command `counterfoil serve`, which runs the service.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, setup};
use crate::app::{RunningService, ServiceParts};
use crate::runtime::telemetry;
use crate::settings::Settings;

/// Run the service until it is told to stop; then answer what has begun, and stop a private database last.
#[derive(Debug, Args)]
pub struct ServeCommand {
    /// The address to listen on, as host:port
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The profile: `development` or `production`
    #[arg(long)]
    profile: Option<String>,
}

impl ServeCommand {
    /// The settings among the flags.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let flags = [("server.listen", &self.listen), ("profile", &self.profile)];
        flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// Serves until a signal comes.
pub fn run(settings: &Settings, parts: &ServiceParts) -> Result<ExitCode, Failure> {
    telemetry::init(&settings.log_filter, settings.log_json)?;
    setup::runtime()?.block_on(serve(settings, parts))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(settings: &Settings, parts: &ServiceParts) -> Result<(), Failure> {
    // Before anything that takes time, so that a stop is never missed.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let _hangup = signal(SignalKind::hangup())?;
    let mut service = RunningService::start(settings, parts).await?;
    let ended = tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        ended = service.wait() => ended,
    };
    tracing::info!("stopping");
    service.stop().await?;
    tracing::info!("stopped");
    Ok(ended?)
}
