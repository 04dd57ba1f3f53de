//! What an account decides: given what has happened, when a command comes, then these events or that refusal.
//!
//! A module a command; `events` holds the stored form of each event, `state` what holds for every history.

mod add_identifier;
mod catalogue;
mod change_roles;
mod deny_access;
mod disown_session;
mod end_session;
mod erase_account;
mod events;
mod export_data;
mod fixtures;
mod known_device;
mod lapse_account;
mod legal_hold;
mod lift_limits;
mod lift_lock;
mod logout;
mod logout_all;
mod propose_identifier_change;
mod reauthenticate;
mod record_rule_refusal;
mod record_staff_act;
mod refresh_token;
mod release_identifier;
mod remove_identifier;
mod rename_device;
mod request_otp;
mod resend_otp;
mod revoke_device;
mod second_factor;
mod sign_out_account;
mod state;
mod suspend_account;
mod undo_identifier_change;
mod unfamiliar_client;
mod update_profile;
mod verify_identifier;
mod verify_otp;
