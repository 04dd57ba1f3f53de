//! What an account decides: given what has happened, when a command comes, then these events or that refusal.
//!
//! A module a command; `events` holds the stored form of each event, `state` what holds for every history.

mod events;
mod fixtures;
mod logout;
mod logout_all;
mod refresh_token;
mod rename_device;
mod request_otp;
mod resend_otp;
mod revoke_device;
mod state;
mod update_profile;
mod verify_otp;
