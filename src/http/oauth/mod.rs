//! What other services ask of tokens, as OAuth 2.0 has it: form-encoded, by configured clients (HTTP Basic).

pub mod ended_sessions;
pub mod introspect;
pub mod revoke;
