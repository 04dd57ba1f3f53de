//! What an account decides: given what has happened, when a command comes, then these events or that refusal.
//!
//! A module a command; `events` holds the stored form of each event, `state` what holds for every history.

mod events;
mod fixtures;
mod logout;
mod refresh_token;
mod request_otp;
mod resend_otp;
mod state;
mod update_profile;
mod verify_otp;
