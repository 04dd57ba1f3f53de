//! The hash that ties an event to all before it in its stream.

use aws_lc_rs::digest::{Context, SHA256};

/// The columns of an event that the application writes, as written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeafColumns<'a> {
    pub(crate) aggregate_type: &'a str,
    pub(crate) aggregate_id: &'a str,
    pub(crate) sequence: i64,
    pub(crate) event_type: &'a str,
    pub(crate) event_version: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) metadata: &'a str,
    pub(crate) personal: Option<&'a [u8]>,
}

/// `SHA-256(0x00 ‖ canonical bytes ‖ previous leaf)`, 32 bytes; of zeros before the first event.
///
/// The leading zero is the leaf prefix of RFC 6962, section 2.1. The canonical bytes are every column that the
/// application writes, as written, each with its length before it. Personal data is covered as ciphertext, so letting
/// its key go breaks nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaf(pub [u8; 32]);

impl Leaf {
    /// The leaf of the event that follows.
    pub(crate) fn next(&self, event: LeafColumns<'_>) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(&[0]);
        let sequence = event.sequence.to_be_bytes();
        let columns: [&[u8]; 7] = [
            event.aggregate_type.as_bytes(),
            event.aggregate_id.as_bytes(),
            &sequence,
            event.event_type.as_bytes(),
            event.event_version.as_bytes(),
            event.payload.as_bytes(),
            event.metadata.as_bytes(),
        ];
        for column in columns {
            hash.update(&(column.len() as u64).to_be_bytes());
            hash.update(column);
        }
        // An absent part is not an empty one.
        match event.personal {
            Some(personal) => {
                hash.update(&[1]);
                hash.update(&(personal.len() as u64).to_be_bytes());
                hash.update(personal);
            }
            None => hash.update(&[0]),
        }
        hash.update(&self.0);
        let mut leaf = [0; 32];
        leaf.copy_from_slice(hash.finish().as_ref());
        Self(leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_is_that_of_the_documents_example() {
        let columns = LeafColumns {
            aggregate_type: "account",
            aggregate_id: "a",
            sequence: 1,
            event_type: "opened",
            event_version: "1",
            payload: r#"{"n":1}"#,
            metadata: "{}",
            personal: Some(b"sealed"),
        };
        let hex = |columns| -> String {
            Leaf::default().next(columns).0.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(hex(columns), "b9b30f48bd4428de33925e1902f199adc2f4ca87f96ad6907fd4491d161625b3");
        let impersonal = LeafColumns { personal: None, ..columns };
        assert_eq!(hex(impersonal), "02c130f046386db7311aada2581947cd1e14e9ff254e70d511a9f4d50139df9b");
    }
}
