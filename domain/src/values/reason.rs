//! Why somebody did something to another's account.

super::text::line_of_text! {
    /// A reason, in the words of whoever gave it. Personal: it may name the person or what he did.
    Reason, 300, "the phone was stolen"
}
