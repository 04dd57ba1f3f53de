//! The commands `counterfoil witness …`, which cosign the checkpoints of other logs.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Subcommand;

use super::{Failure, output};
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::runtime::telemetry;
use crate::transparency::note::{KeyName, NoteSigner, SignerKind, VerifierKey};
use crate::transparency::witness::{Witness, WitnessRefusal};

/// How long a request may be, in bytes.
const LONGEST_REQUEST: usize = 64 * 1024;

#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Make the key of a witness, and print the line by which others verify its cosignatures.
    New {
        /// The name of the witness, which no other witness has: its host and path, without https://.
        name: String,
        /// The file to make; it must not exist. Keep it secret.
        file: PathBuf,
    },
    /// Cosign the checkpoints of other logs over HTTP (C2SP tlog-witness), until it is stopped.
    Serve {
        /// The file of the key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The key of a log that is witnessed, as `counterfoil audit keys` prints it there; once for each.
        #[arg(long = "log", value_name = "KEY", required = true)]
        logs: Vec<VerifierKey>,
        /// The folder of what was cosigned. Never put an older one in its place.
        #[arg(long, value_name = "FOLDER")]
        state: PathBuf,
        /// The address to listen on, as host:port
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8400")]
        listen: SocketAddr,
    },
}

impl WitnessCommand {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::New { name, file } => {
                let signer = NoteSigner::generate(name.parse::<KeyName>()?, SignerKind::Witness);
                write_new(&file, &signer.to_secret_text())?;
                output::text(&format!("{}\n", signer.verifier()))?;
            }
            Self::Serve { key, logs, state, listen } => {
                telemetry::init("info", false)?;
                let signer = NoteSigner::from_secret_text(std::fs::read_to_string(&key)?.trim_end())?;
                if signer.verifier().kind != SignerKind::Witness {
                    return Err("the key is that of a log, and not of a witness".into());
                }
                let witness = Witness::open(signer, logs, &state)?;
                actix_web::rt::System::new().block_on(serve(witness, listen))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| format!("{}: {error}", path.display()))?;
    file.write_all(format!("{text}\n").as_bytes())?;
    Ok(file.sync_all()?)
}

async fn serve(witness: Witness, listen: SocketAddr) -> Result<(), Failure> {
    let key = witness.key().to_string();
    let witness = web::Data::from(Arc::new(witness));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(witness.clone())
            .app_data(web::PayloadConfig::new(LONGEST_REQUEST))
            .route("/add-checkpoint", web::post().to(add_checkpoint))
            .route("/healthz", web::get().to(HttpResponse::Ok))
    });
    let server = server.workers(1).bind(listen).map_err(|error| format!("{listen}: {error}"))?;
    tracing::info!(address = %server.addrs()[0], %key, "witnessing");
    Ok(server.run().await?)
}

async fn add_checkpoint(witness: web::Data<Witness>, body: String) -> HttpResponse {
    // It waits for the disk.
    let asked = web::block(move || witness.add_checkpoint(&body, SystemClock.now())).await;
    let refusal = match asked {
        Ok(Ok(line)) => return HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(line),
        Ok(Err(refusal)) => refusal,
        Err(_) => return HttpResponse::InternalServerError().finish(),
    };
    let plain = |status: StatusCode, text: &str| {
        HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(format!("{text}\n"))
    };
    match refusal {
        WitnessRefusal::Malformed(what) => plain(StatusCode::BAD_REQUEST, what),
        WitnessRefusal::UnknownLog => plain(StatusCode::NOT_FOUND, "no log of this name is witnessed"),
        WitnessRefusal::NotSigned => {
            plain(StatusCode::FORBIDDEN, "no key of the log has signed the checkpoint")
        }
        WitnessRefusal::OtherSize(size) => {
            HttpResponse::Conflict().content_type("text/x.tlog.size").body(format!("{size}\n"))
        }
        WitnessRefusal::OtherRoot => {
            tracing::error!("a log was signed with the same size and another root: it has two histories");
            plain(StatusCode::CONFLICT, "the log was cosigned with this size and another root")
        }
        WitnessRefusal::Unproved => {
            tracing::error!("a checkpoint that is signed by its log does not go on from what was cosigned");
            plain(StatusCode::UNPROCESSABLE_ENTITY, "the proof does not show that the log goes on")
        }
        WitnessRefusal::NotKept(error) => {
            tracing::error!(error, "what is cosigned cannot be kept, so nothing is cosigned");
            plain(StatusCode::SERVICE_UNAVAILABLE, "what is cosigned cannot be kept")
        }
    }
}
