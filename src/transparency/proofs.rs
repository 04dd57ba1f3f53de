//! Proofs from the tree that the database has.

use deadpool_postgres::GenericClient;

use super::store;
use super::tree::{self, TreeHash};
use crate::journal::JournalError;

/// Why there is no proof.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProofError {
    /// The database gave no answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tree has not so many events.
    #[error("the log was signed with {0} events, and with no more yet")]
    BeyondTree(i64),
    /// The database lacks a part of the tree.
    #[error("a part of the tree is not there; `counterfoil audit verify` tells more")]
    Incomplete,
}

/// A proof that an event is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf of the event.
    pub leaf: TreeHash,
    /// The hashes beside the way from the leaf to the root, from the leaf upwards (RFC 6962, section 2.1.1).
    pub path: Vec<TreeHash>,
}

/// Returns how many events the tree has that the database keeps.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn tree_size(client: &impl GenericClient) -> Result<i64, JournalError> {
    let statement = client.prepare_cached("SELECT size FROM tree").await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

/// Proves that the event with a number, from 1, is in the tree of so many events.
///
/// # Errors
/// [`ProofError`] when the tree has not so many, or the database does not answer.
pub async fn inclusion(
    client: &impl GenericClient,
    seq: i64,
    size: i64,
) -> Result<InclusionProof, ProofError> {
    let known = tree_size(client).await?;
    if size > known || seq < 1 || seq > size {
        return Err(ProofError::BeyondTree(known));
    }
    let (index, size) = (seq.unsigned_abs() - 1, size.unsigned_abs());
    let mut parts = tree::inclusion(index, size);
    parts.push(vec![tree::TreeNode { level: 0, index }]);
    let mut path = store::part_hashes(client, &parts).await?.ok_or(ProofError::Incomplete)?;
    let leaf = path.pop().ok_or(ProofError::Incomplete)?;
    Ok(InclusionProof { leaf, path })
}

/// Proves that the tree of `size` events begins with the tree of `former` events.
///
/// # Errors
/// [`ProofError`] when the tree has not so many, or the database does not answer.
pub async fn consistency(
    client: &impl GenericClient,
    former: i64,
    size: i64,
) -> Result<Vec<TreeHash>, ProofError> {
    let known = tree_size(client).await?;
    if size > known || former > size || former < 0 {
        return Err(ProofError::BeyondTree(known));
    }
    let parts = tree::consistency(former.unsigned_abs(), size.unsigned_abs());
    store::part_hashes(client, &parts).await?.ok_or(ProofError::Incomplete)
}

/// Returns the root of the tree of so many events.
///
/// # Errors
/// [`ProofError`] when the tree has not so many, or the database does not answer.
pub async fn root(client: &impl GenericClient, size: i64) -> Result<TreeHash, ProofError> {
    let known = tree_size(client).await?;
    if size > known || size < 0 {
        return Err(ProofError::BeyondTree(known));
    }
    let whole = store::part_hashes(client, &[tree::whole(size.unsigned_abs())]).await?;
    whole.and_then(|mut whole| whole.pop()).ok_or(ProofError::Incomplete)
}
