//! Why staff did something to a user's account.

super::text::line_of_text! {
    /// A reason, in the words of the member of staff. It is personal data: it may name the user or what they did.
    Reason, 300, "the phone was stolen"
}
