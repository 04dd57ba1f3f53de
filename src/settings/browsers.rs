//! The section `browsers`: pages that may call the API, and cookies.

use super::raw::raw_section;
use super::words::Words;
use super::{SettingsError, invalid};
use crate::http::CookieMode;
use crate::runtime::network::is_this_machine;

raw_section!(RawBrowsers { allowed_origins: Words, allowed_headers: Words, cookies: CookieMode });

/// The section `browsers`, checked.
pub(super) struct BrowserSettings {
    pub allowed_origins: Vec<String>,
    pub allowed_headers: Vec<String>,
    pub cookies: CookieMode,
}

impl RawBrowsers {
    pub fn check(self) -> Result<BrowserSettings, SettingsError> {
        Ok(BrowserSettings {
            allowed_origins: origins(self.allowed_origins.into_list())?,
            allowed_headers: header_names(self.allowed_headers.into_list())?,
            cookies: self.cookies,
        })
    }
}

/// `https://host` or `https://host:port`, as browsers send it; plain `http` for this machine only.
pub(super) fn origins(origins: Vec<String>) -> Result<Vec<String>, SettingsError> {
    for origin in &origins {
        let url: Option<reqwest::Url> = origin.parse().ok();
        let fits = url.is_some_and(|url| {
            let secure = match url.scheme() {
                "https" => true,
                "http" => is_this_machine(url.host_str().unwrap_or_default()),
                _ => false,
            };
            secure && !origin.contains('*') && url.origin().ascii_serialization() == *origin
        });
        if !fits {
            let problem = format!("{origin:?} is not an origin such as https://app.example");
            return Err(invalid("browsers.allowed_origins", &problem));
        }
    }
    Ok(origins)
}

/// Names of headers (RFC 9110, section 5.1).
pub(super) fn header_names(names: Vec<String>) -> Result<Vec<String>, SettingsError> {
    for name in &names {
        if actix_web::http::header::HeaderName::try_from(name.as_str()).is_err() {
            let problem = format!("{name:?} is not the name of a header such as x-app-version");
            return Err(invalid("browsers.allowed_headers", &problem));
        }
    }
    Ok(names)
}
