//! The endpoints that clients of the original service call: a file an endpoint.

pub mod login;
pub mod logout;
pub mod profile;
pub mod refresh;
pub mod resend;
pub mod token_verify;
pub mod verify;
