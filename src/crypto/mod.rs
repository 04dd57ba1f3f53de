//! Everything that is made with a key of the keyring: one-time codes, second factors, sealed personal data, links in messages
//! and client fingerprints; and the type of what must not be shown. Tokens have a room of their own.

pub mod client_fingerprints;
pub mod entropy;
pub mod keyring;
pub mod message_links;
pub mod one_time_codes;
pub mod personal_data;
pub mod second_factors;
pub mod secret;
pub mod test_identifiers;
