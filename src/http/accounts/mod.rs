//! What people do with their accounts: a file an endpoint.

pub mod devices;
pub mod disown;
pub mod export;
pub mod history;
pub mod identifiers;
pub mod login;
pub mod logout;
pub mod logout_all;
pub mod profile;
pub mod reauthenticate;
pub mod refresh;
pub mod resend;
pub mod second_factor;
pub mod token_verify;
pub mod undo;
pub mod unlock;
pub mod verify;
