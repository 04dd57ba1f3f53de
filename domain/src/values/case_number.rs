//! The number of the case that staff work on.

super::text::line_of_text! {
    /// The number of a case in the ticket system of the staff. It is personal data: some systems name the user in it.
    CaseNumber, 64, "HD-2041"
}
