//! Asking witnesses to cosign checkpoints (C2SP `tlog-witness`, from the side of the log).

use std::fmt::Write as _;
use std::time::Duration;

use deadpool_postgres::Object;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use super::WitnessPolicy;
use super::note::{NoteError, NoteSignature, SignedNote};
use super::proofs::{self, ProofError};
use super::store::{self, StoredCheckpoint};
use crate::journal::JournalError;
use crate::postgres::Database;

/// How long a witness may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How long an answer may be, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024;

/// How often a witness is asked at most.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// The media type of an answer that says which size a witness knows.
pub(super) const SIZE_TYPE: &str = "text/x.tlog.size";

/// Asks the witnesses of a log.
#[derive(Clone, Debug)]
pub struct WitnessClient {
    database: Database,
    http: reqwest::Client,
    witnesses: Vec<WitnessPolicy>,
}

/// Why a witness did not cosign.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CosigningError {
    /// There is no proof for the witness.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The witness is not there, or answers something else.
    #[error("the witness does not answer as it should: {0}")]
    Witness(String),
    /// The witness has cosigned a log that this one is not: longer, or another one.
    #[error(
        "the witness has cosigned {known} events of a log of this name, and this log does not go on from them. Was the database \
         restored, or altered?"
    )]
    OtherLog {
        /// How many events the witness has seen.
        known: i64,
    },
}

impl From<JournalError> for CosigningError {
    fn from(error: JournalError) -> Self {
        Self::Proof(error.into())
    }
}

impl From<reqwest::Error> for CosigningError {
    fn from(error: reqwest::Error) -> Self {
        Self::Witness(error.without_url().to_string())
    }
}

impl From<NoteError> for CosigningError {
    fn from(error: NoteError) -> Self {
        Self::Witness(error.to_string())
    }
}

/// What a witness answered.
enum Answer {
    Cosigned(NoteSignature),
    /// It knows the log with another size.
    Knows(i64),
}

impl WitnessClient {
    /// A client of these witnesses.
    ///
    /// # Panics
    /// When the TLS library cannot be set up.
    pub fn new(database: Database, witnesses: Vec<WitnessPolicy>) -> Self {
        let http =
            reqwest::Client::builder().timeout(ANSWERS_WITHIN).redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("the TLS library is there");
        Self { database, http, witnesses }
    }

    /// The witnesses that are asked.
    pub fn witnesses(&self) -> &[WitnessPolicy] {
        &self.witnesses
    }

    /// Has new checkpoints cosigned, until the future is dropped.
    pub(crate) async fn keep(&self) {
        if self.witnesses.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            for (witness, result) in self.ask_all().await {
                let name = witness.key.name.as_str();
                let refused = matches!(result, Err(CosigningError::OtherLog { .. }));
                metrics::gauge!("counterfoil_witness_refuses", "witness" => name.to_owned())
                    .set(if refused { 1.0 } else { 0.0 });
                match result {
                    Ok(_) => {}
                    Err(error) if refused => {
                        tracing::error!(witness = name, %error, "a witness refuses the log");
                    }
                    Err(error) => tracing::warn!(witness = name, %error, "a witness did not cosign"),
                }
            }
        }
    }

    /// Asks every witness to cosign the last checkpoint.
    pub async fn ask_all(&self) -> Vec<(&WitnessPolicy, Result<Option<i64>, CosigningError>)> {
        let asked = self.witnesses.iter().map(|witness| async move { (witness, self.ask(witness).await) });
        futures_util::future::join_all(asked).await
    }

    /// Asks a witness to cosign the last checkpoint, unless it has. Returns up to which number it has cosigned the log then; `None`
    /// before the first checkpoint.
    ///
    /// # Errors
    /// [`CosigningError`].
    pub async fn ask(&self, witness: &WitnessPolicy) -> Result<Option<i64>, CosigningError> {
        let connection = self.database.connection().await.map_err(JournalError::from)?;
        let Some(last) = store::last_checkpoint(&connection).await? else { return Ok(None) };
        let known = cosigned_size(&connection, witness).await?;
        if known == last.size {
            return Ok(Some(known));
        }
        let mut answer = self.submit(&connection, witness, &last, known).await?;
        // A restored database, or a lost answer: the witness says from where it goes on.
        if let Answer::Knows(size) = answer
            && size <= last.size
        {
            answer = self.submit(&connection, witness, &last, size).await?;
        }
        match answer {
            Answer::Cosigned(signature) => {
                keep(&connection, witness, &last, &signature).await?;
                Ok(Some(last.size))
            }
            Answer::Knows(known) => Err(CosigningError::OtherLog { known }),
        }
    }

    async fn submit(
        &self,
        connection: &Object,
        witness: &WitnessPolicy,
        checkpoint: &StoredCheckpoint,
        known: i64,
    ) -> Result<Answer, CosigningError> {
        let mut body = format!("old {known}\n");
        for hash in proofs::consistency(connection, known, checkpoint.size).await? {
            writeln!(body, "{hash}").expect("a text takes what memory does");
        }
        // The signatures of other witnesses are none of its business.
        let mut note = checkpoint.note.clone();
        note.signatures.retain(|signature| signature.name == checkpoint.checkpoint.origin);
        write!(body, "\n{note}").expect("a text takes what memory does");
        let url = format!("{}/add-checkpoint", witness.url);
        let mut response = self.http.post(url).body(body).send().await?;
        let status = response.status();
        let says_size = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == SIZE_TYPE);
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            text.extend_from_slice(&chunk);
            if text.len() > LONGEST_ANSWER {
                return Err(CosigningError::Witness("its answer is too long".to_owned()));
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        match status {
            StatusCode::OK => {
                let signature = cosignature(witness, checkpoint, &text)?;
                Ok(Answer::Cosigned(signature))
            }
            StatusCode::CONFLICT if says_size => {
                let size = text.trim_end().parse().ok().filter(|size| *size >= 0);
                let size = size.ok_or_else(|| CosigningError::Witness("it names no size".to_owned()))?;
                Ok(Answer::Knows(size))
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(CosigningError::OtherLog { known })
            }
            status => Err(CosigningError::Witness(format!("status {}", status.as_u16()))),
        }
    }
}

/// The signature of the witness among the lines of its answer.
fn cosignature(
    witness: &WitnessPolicy,
    checkpoint: &StoredCheckpoint,
    answer: &str,
) -> Result<NoteSignature, CosigningError> {
    let text = checkpoint.note.text.clone();
    for line in answer.lines() {
        let Ok(signature) = line.parse::<NoteSignature>() else { continue };
        let note = SignedNote { text: text.clone(), signatures: vec![signature.clone()] };
        if note.verify_witness(&witness.key).is_ok() {
            return Ok(signature);
        }
    }
    Err(NoteError::NotSigned(witness.key.name.clone()).into())
}

/// Up to which number a witness has cosigned, as far as it is known here.
async fn cosigned_size(connection: &Object, witness: &WitnessPolicy) -> Result<i64, JournalError> {
    let sql = "SELECT coalesce(max(size), 0) FROM cosignatures WHERE witness = $1";
    let statement = connection.prepare_cached(sql).await?;
    Ok(connection.query_one(&statement, &[&witness.key.name.as_str()]).await?.get(0))
}

async fn keep(
    connection: &Object,
    witness: &WitnessPolicy,
    checkpoint: &StoredCheckpoint,
    signature: &NoteSignature,
) -> Result<(), CosigningError> {
    let note = SignedNote { text: checkpoint.note.text.clone(), signatures: vec![signature.clone()] };
    let at = note.verify_witness(&witness.key)?;
    let sql = "INSERT INTO cosignatures (witness, size, at, signature) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let statement = connection.prepare_cached(sql).await.map_err(JournalError::from)?;
    let (name, line) = (witness.key.name.as_str(), signature.to_string());
    let kept = connection.execute(&statement, &[&name, &checkpoint.size, &at, &line]).await;
    kept.map_err(JournalError::from)?;
    Ok(())
}
