//! The requests that the clients of a measurement send.

use std::sync::atomic::{AtomicU32, Ordering};

use super::client::{LoadCaller, field, post};

/// Phone numbers that no client has used yet in this run: Iranian mobile numbers of ten prefixes.
static NEXT_PHONE: AtomicU32 = AtomicU32::new(0);

/// The next of them.
pub fn new_phone() -> String {
    phone(NEXT_PHONE.fetch_add(1, Ordering::Relaxed))
}

/// The one that was the nth to be used.
pub fn phone(n: u32) -> String {
    format!("+9891{:01}{:07}", n / 10_000_000, n % 10_000_000)
}

/// Signs a new person in: asks for a code, redeems it.
#[derive(Default)]
pub struct SignInCaller {
    pub phone: String,
    code: Option<String>,
    /// The tokens of everybody signed in so far.
    pub tokens: Vec<DeviceTokens>,
}

/// The tokens of one device.
#[derive(Clone)]
pub struct DeviceTokens {
    pub access: String,
    pub refresh: String,
}

impl DeviceTokens {
    fn of(body: &[u8]) -> Self {
        Self {
            access: field(body, "access_token").to_owned(),
            refresh: field(body, "refresh_token").to_owned(),
        }
    }
}

impl LoadCaller for SignInCaller {
    fn request(&mut self, out: &mut Vec<u8>) {
        match &self.code {
            None => {
                self.phone = new_phone();
                post(out, "/accounts/login/", &format!(r#"{{"phone_number":"{}"}}"#, self.phone));
            }
            Some(code) => {
                let body = format!(
                    r#"{{"phone_number":"{}","code":"{code}","device_name":"BenchRun"}}"#,
                    self.phone
                );
                post(out, "/accounts/verify/", &body);
            }
        }
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        if self.code.take().is_none() {
            self.code = Some(field(body, "code").to_owned());
            return false;
        }
        self.tokens.push(DeviceTokens::of(body));
        true
    }
}

/// Asks for codes, each for another number: numbers of a thousand prefixes in turn.
pub struct AskForCode;

impl LoadCaller for AskForCode {
    fn request(&mut self, out: &mut Vec<u8>) {
        let n = NEXT_PHONE.fetch_add(1, Ordering::Relaxed);
        // A factor without a divisor in common with the modulus, so that no number comes twice.
        let spread = u64::from(n) * 7_919_777 % 10_000_000;
        post(out, "/accounts/login/", &format!(r#"{{"phone_number":"+98901{spread:07}"}}"#));
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        true
    }
}

/// Refreshes the devices it has, one after the other.
pub struct RefreshCaller {
    pub devices: Vec<DeviceTokens>,
    pub turn: usize,
}

impl LoadCaller for RefreshCaller {
    fn request(&mut self, out: &mut Vec<u8>) {
        self.turn = (self.turn + 1) % self.devices.len();
        let body = format!(r#"{{"refresh_token":"{}"}}"#, self.devices[self.turn].refresh);
        post(out, "/accounts/refresh/", &body);
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        self.devices[self.turn] = DeviceTokens::of(body);
        true
    }
}

/// Sends the same requests over and over.
pub struct RepeatedRequest {
    pub requests: Vec<Vec<u8>>,
    pub turn: usize,
}

impl LoadCaller for RepeatedRequest {
    fn request(&mut self, out: &mut Vec<u8>) {
        self.turn = (self.turn + 1) % self.requests.len();
        out.extend_from_slice(&self.requests[self.turn]);
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        true
    }
}
