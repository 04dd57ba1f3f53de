//! Every line of the contract, over real HTTP: a file an endpoint.

mod admin;
mod answers;
mod browsers;
mod credentials;
mod devices;
mod document;
mod general;
mod history;
mod identifier_removal;
mod identifiers;
mod key_set;
mod login;
mod logout;
mod logout_all;
mod oauth;
mod privacy;
mod problems;
mod profile;
mod reauthenticate;
mod refresh;
mod resend;
mod second_factor;
mod token_verify;
mod verify;

/// A code that is not this one.
fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}
