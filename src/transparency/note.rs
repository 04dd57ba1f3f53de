//! Signed notes (C2SP `signed-note`), checkpoints (C2SP `tlog-checkpoint`) and cosignatures (C2SP `tlog-cosignature`): the text forms in
//! which logs and witnesses say what they have seen.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use zeroize::Zeroizing;

use super::tree::{TreeHash, TreeHead};

/// How long a note may be, in bytes. A checkpoint with a hundred signatures is far below.
const LONGEST_NOTE: usize = 64 * 1024;

/// How many signatures a note may have.
const MOST_SIGNATURES: usize = 100;

/// Why a text is no note, no key or no checkpoint, or does not prove what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is no signed note.
    #[error("it is no signed note: {0}")]
    Note(&'static str),
    /// The text of the note is no checkpoint.
    #[error("it is no checkpoint: {0}")]
    Checkpoint(&'static str),
    /// The text is no key of a log or a witness.
    #[error("it is no key of a log or a witness: {0}")]
    Key(&'static str),
    /// No signature of the note is by the key, or the one that says so is not.
    #[error("it has no valid signature of {0}")]
    NotSigned(KeyName),
}

/// The name of a log or a witness in signatures: no spaces, no `+`. For a log it is the origin of its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = NoteError;

    fn from_str(name: &str) -> Result<Self, NoteError> {
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        let is_name = (1..=255).contains(&name.len()) && name.chars().all(fits);
        is_name.then(|| Self(name.to_owned())).ok_or(NoteError::Key("a name has no spaces and no `+`"))
    }
}

/// Who signs with a key: what it signs differs, so that a signature of one kind never stands for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignerKind {
    /// A log, which signs the text of its notes.
    Log,
    /// A witness, which signs checkpoints with the time at which it saw them.
    Witness,
}

impl SignerKind {
    /// The byte that stands before the key.
    fn byte(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }

    fn of_byte(byte: u8) -> Option<Self> {
        [Self::Log, Self::Witness].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// A key by which signatures of a log or a witness are verified. Its text is a *vkey* of C2SP `signed-note`:
/// `name+3fe1d2c0+base64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    /// Whose key it is.
    pub name: KeyName,
    /// Who signs with it.
    pub kind: SignerKind,
    public: [u8; 32],
}

impl VerifierKey {
    /// The first four bytes of the hash of name and key, by which signatures name the key.
    fn id(&self) -> [u8; 4] {
        let named = [self.name.as_str().as_bytes(), b"\n", &[self.kind.byte()], &self.public].concat();
        let mut id = [0; 4];
        id.copy_from_slice(&digest(&SHA256, &named).as_ref()[..4]);
        id
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let key = STANDARD.encode([&[self.kind.byte()][..], &self.public].concat());
        write!(f, "{}+{id:08x}+{key}", self.name)
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // The base64 of a key may have a `+` itself.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has the form name+id+key"));
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key("its last part is not base64"))?;
        let (kind, public) = key.split_first().ok_or(NoteError::Key("its last part is empty"))?;
        let kind =
            SignerKind::of_byte(*kind).ok_or(NoteError::Key("it is for another algorithm than Ed25519"))?;
        let public = public.try_into().map_err(|_| NoteError::Key("an Ed25519 key has 32 bytes"))?;
        let key = Self { name: name.parse()?, kind, public };
        let is_own_id = id == format!("{:08x}", u32::from_be_bytes(key.id()));
        is_own_id.then_some(key).ok_or(NoteError::Key("its id is that of another name or key"))
    }
}

/// A key by which a log or a witness signs.
#[derive(Debug)]
pub struct NoteSigner {
    pair: Ed25519KeyPair,
    key: VerifierKey,
}

impl NoteSigner {
    /// The signer of that name.
    pub fn new(name: KeyName, kind: SignerKind, pair: Ed25519KeyPair) -> Self {
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { pair, key: VerifierKey { name, kind, public } }
    }

    /// A signer with a fresh key.
    ///
    /// # Panics
    /// When the operating system gives no randomness.
    pub fn generate(name: KeyName, kind: SignerKind) -> Self {
        let pair = Ed25519KeyPair::generate().expect("the operating system gives randomness");
        Self::new(name, kind, pair)
    }

    /// The secret key as a line, in the form that Go's `note` has for it: `PRIVATE+KEY+name+id+base64`.
    ///
    /// # Panics
    /// Never: the seed of an Ed25519 key is there as long as the key.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let seed = self.pair.seed().and_then(|seed| seed.as_be_bytes()).expect("the key has a seed");
        let id = u32::from_be_bytes(self.key.id());
        let secret = Zeroizing::new([&[self.key.kind.byte()][..], seed.as_ref()].concat());
        Zeroizing::new(format!("PRIVATE+KEY+{}+{id:08x}+{}", self.key.name, STANDARD.encode(&*secret)))
    }

    /// Reads a line of [`to_secret_text`](Self::to_secret_text).
    ///
    /// # Errors
    /// [`NoteError::Key`] when it is none; it says nothing of the text.
    pub fn from_secret_text(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Key("it has the form PRIVATE+KEY+name+id+key");
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(malformed.clone())?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed);
        };
        let secret = Zeroizing::new(STANDARD.decode(secret).map_err(|_| malformed.clone())?);
        let (kind, seed) = secret.split_first().ok_or(malformed.clone())?;
        let kind = SignerKind::of_byte(*kind).ok_or(malformed.clone())?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| malformed)?;
        let signer = Self::new(name.parse()?, kind, pair);
        let is_own_id = id == format!("{:08x}", u32::from_be_bytes(signer.key.id()));
        is_own_id.then_some(signer).ok_or(NoteError::Key("its id is that of another name or key"))
    }

    /// The key by which others verify.
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// Signs a text, as a log. The text ends with a line break.
    pub fn sign(&self, text: &str) -> NoteSignature {
        let signature = self.pair.sign(text.as_bytes());
        self.signature(&[signature.as_ref()])
    }

    /// Signs a checkpoint, as a witness who saw it at that time.
    pub fn cosign(&self, checkpoint: &Checkpoint, at: DateTime<Utc>) -> NoteSignature {
        let seconds = at.timestamp().unsigned_abs();
        let signature = self.pair.sign(cosigned(seconds, &checkpoint.to_string()).as_bytes());
        self.signature(&[&seconds.to_be_bytes(), signature.as_ref()])
    }

    fn signature(&self, parts: &[&[u8]]) -> NoteSignature {
        let blob = [&[&self.key.id()[..]], parts].concat().concat();
        NoteSignature { name: self.key.name.clone(), blob }
    }
}

/// What a witness signs.
fn cosigned(seconds: u64, checkpoint: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{checkpoint}")
}

/// A signature under a note: a line of `— name base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the signer.
    pub name: KeyName,
    blob: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "— {} {}", self.name, STANDARD.encode(&self.blob))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Note("a signature has the form `— name base64`");
        let (name, blob) =
            line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(malformed.clone())?;
        let blob = STANDARD.decode(blob).ok().filter(|blob| blob.len() > 4).ok_or(malformed.clone())?;
        Ok(Self { name: name.parse().map_err(|_| malformed)?, blob })
    }
}

/// A text with signatures under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed; it ends with a line break.
    pub text: String,
    /// The signatures under the text.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Verifies the signature of a log.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] when there is none by this key, or a wrong one.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let is_signed = |signature: &[u8]| key.verifies(self.text.as_bytes(), signature);
        self.signature_of(key).filter(|signature| is_signed(signature)).map(|_| ()).ok_or(not_signed(key))
    }

    /// Verifies the cosignature of a witness. Returns when it saw the checkpoint.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] when there is none by this key, or a wrong one.
    pub fn verify_witness(&self, key: &VerifierKey) -> Result<DateTime<Utc>, NoteError> {
        let (time, signature) =
            self.signature_of(key).and_then(|blob| blob.split_first_chunk()).ok_or(not_signed(key))?;
        let seconds = u64::from_be_bytes(*time);
        let at = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let is_signed = key.verifies(cosigned(seconds, &self.text).as_bytes(), signature);
        at.filter(|_| is_signed && key.kind == SignerKind::Witness).ok_or(not_signed(key))
    }

    /// Whether a signature says that it is by this key.
    pub fn has_signature_of(&self, key: &VerifierKey) -> bool {
        self.signature_of(key).is_some()
    }

    fn signature_of(&self, key: &VerifierKey) -> Option<&[u8]> {
        let of_key =
            |signature: &&NoteSignature| signature.name == key.name && signature.blob.starts_with(&key.id());
        self.signatures.iter().find(of_key).map(|signature| &signature.blob[4..])
    }
}

fn not_signed(key: &VerifierKey) -> NoteError {
    NoteError::NotSigned(key.name.clone())
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > LONGEST_NOTE || note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Note("it is too long, or has control characters"));
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Note("it has no signatures"))?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Note("its last line has no end"))?;
        let signatures = lines.split('\n').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(NoteError::Note("it has too many signatures"));
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }
}

/// What a log says of itself: how many events it has, and the hash over all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: KeyName,
    /// Its size and root.
    pub head: TreeHead,
}

/// The text that is signed: three lines.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.head.size, self.head.root)
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Checkpoint("it has fewer than three lines"));
        };
        // Lines that extend a checkpoint are for others to read; this software writes none, and signs none that it cannot read.
        if lines.next() != Some("") || lines.next().is_some() {
            return Err(NoteError::Checkpoint("it has more than three lines"));
        }
        let origin = origin.parse().map_err(|_| NoteError::Checkpoint("its first line is no name"))?;
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let size = number.ok_or(NoteError::Checkpoint("its second line is no size"))?;
        let root = TreeHash::from_base64(root).ok_or(NoteError::Checkpoint("its third line is no hash"))?;
        Ok(Self { origin, head: TreeHead { size, root } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(name: &str, kind: SignerKind, seed: u8) -> NoteSigner {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        NoteSigner::new(name.parse().unwrap(), kind, pair)
    }

    fn checkpoint() -> Checkpoint {
        let head = TreeHead { size: 20_852_163, root: TreeHash([7; 32]) };
        Checkpoint { origin: "example.com/log".parse().unwrap(), head }
    }

    #[test]
    fn a_note_of_the_reference_implementation_is_verified() {
        // The example of golang.org/x/mod/sumdb/note.
        let key: VerifierKey =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\n\
            — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let signed: SignedNote = note.parse().unwrap();
        assert_eq!((signed.verify(&key), signed.to_string()), (Ok(()), note.to_owned()));
        assert_eq!(key.to_string().parse(), Ok(key));
        let witness = NoteSigner::generate("witness.example/w".parse().unwrap(), SignerKind::Witness);
        let read = NoteSigner::from_secret_text(&witness.to_secret_text()).unwrap();
        assert_eq!(read.verifier(), witness.verifier());
        for text in ["", "PRIVATE+KEY+a+00000000+AQ==", &witness.to_secret_text().replace("witness", "other")]
        {
            assert!(NoteSigner::from_secret_text(text).is_err());
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written_and_nothing_else_is_one() {
        let text = checkpoint().to_string();
        assert_eq!(text.parse(), Ok(checkpoint()));
        for (from, to) in [
            ("20852163", "020852163"),
            ("20852163", "-1"),
            ("20852163", ""),
            ("20852163", "18446744073709551616"),
            ("BwcH", "BwcH\n"),
            ("BwcH", "Bwc"),
            ("example.com/log", "example com"),
            ("example.com/log", ""),
        ] {
            assert!(text.replace(from, to).parse::<Checkpoint>().is_err(), "{from} {to}");
        }
        assert!(format!("{text}more\n").parse::<Checkpoint>().is_err());
        assert!(text.trim_end().parse::<Checkpoint>().is_err());
    }

    #[test]
    fn a_signature_stands_for_its_text_its_name_and_its_key_alone() {
        let (log, witness) = (signer("log", SignerKind::Log, 1), signer("witness", SignerKind::Witness, 2));
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let text = checkpoint().to_string();
        let signatures = vec![log.sign(&text), witness.cosign(&checkpoint(), at)];
        let note: SignedNote = SignedNote { text, signatures }.to_string().parse().unwrap();
        assert_eq!(note.verify(log.verifier()), Ok(()));
        assert_eq!(note.verify_witness(witness.verifier()), Ok(at));
        for other in [
            signer("log", SignerKind::Log, 3),
            signer("other", SignerKind::Log, 1),
            signer("witness", SignerKind::Log, 2),
            signer("log", SignerKind::Witness, 1),
        ] {
            assert!(note.verify(other.verifier()).is_err(), "{other:?}");
            assert!(note.verify_witness(other.verifier()).is_err(), "{other:?}");
        }
        let mut changed = note.clone();
        changed.text = changed.text.replace("20852163", "20852164");
        assert!(changed.verify(log.verifier()).is_err());
        assert!(changed.verify_witness(witness.verifier()).is_err());
        for at in [4, 11, 12, 40] {
            let mut changed = note.clone();
            changed.signatures[1].blob[at] ^= 1;
            assert!(changed.verify_witness(witness.verifier()).is_err(), "{at}");
        }
    }

    #[test]
    fn texts_that_are_no_notes_and_no_keys_are_refused() {
        for note in [
            "",
            "text\n",
            "text\n\n",
            "text\n\n\n",
            "text\n\n— name YQ==\n",
            "text\n\n— name YWJjZGU=",
            "t\r\n\n— name YWJjZGU=\n",
        ] {
            assert!(note.parse::<SignedNote>().is_err(), "{note:?}");
        }
        let key = signer("log", SignerKind::Log, 1).verifier().to_string();
        for key in
            [key.replace("log", "lag"), key.replace('+', "-"), key[..key.len() - 4].to_owned(), String::new()]
        {
            assert!(key.parse::<VerifierKey>().is_err(), "{key}");
        }
    }
}
