//! Keys that must not be used.

use zeroize::Zeroizing;

use super::{KeyringError, KeyringKey};

/// Keys of 32 bytes that are printed in standards and libraries' tests, and copied from there.
const KNOWN: [&str; 4] = [
    // RFC 8032, section 7.1, tests 1 to 3; the first is that of RFC 8037, appendix A.1, as well.
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    // NaCl's secretbox.
    "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389",
];

impl KeyringKey {
    /// The random bytes that the key is made of, if they cannot be known.
    pub(super) fn checked_seed(&self) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let seed = self.seed().filter(|seed| seed.len() == 32 && !is_regular(seed));
        let seed = seed.ok_or_else(|| KeyringError::Weak(self.id.clone()))?;
        let hex: Zeroizing<String> = Zeroizing::new(seed.iter().map(|byte| format!("{byte:02x}")).collect());
        if KNOWN.contains(&hex.as_str()) {
            return Err(KeyringError::Known(self.id.clone()));
        }
        Ok(seed)
    }
}

/// Few different values, a text, or bytes in equal steps. 32 random bytes have about 30 different values; each of the
/// three is true of them less than once in 10^13 keys.
fn is_regular(seed: &[u8]) -> bool {
    let mut values = Zeroizing::new(seed.to_vec());
    values.sort_unstable();
    values.dedup();
    let mut steps = seed.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    let step = steps.next();
    values.len() < 16
        || seed.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        || steps.all(|other| Some(other) == step)
}
