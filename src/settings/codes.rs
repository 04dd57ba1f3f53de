//! The section `codes`: the rules for one-time codes.

use counterfoil_domain::user_account::Policy;

use super::raw::raw_section;
use super::seconds;

raw_section!(RawCodes {
    lifetime: u32,
    tries: u8,
    resend_after: u32,
    per_day: usize,
    wrong_per_hour: usize,
    wrong_in_a_row: u32,
});

impl RawCodes {
    /// Returns the rules for codes in a policy that is not checked; its other rules have their defaults.
    pub fn policy(self) -> Policy {
        Policy {
            code_lifetime: seconds(self.lifetime),
            code_tries: self.tries,
            resend_after: seconds(self.resend_after),
            codes_per_day: self.per_day,
            wrong_codes_per_hour: self.wrong_per_hour,
            wrong_codes_in_a_row: self.wrong_in_a_row,
            ..Policy::default()
        }
    }
}
