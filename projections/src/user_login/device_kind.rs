//! What a `User-Agent` header says of the device, for those who gave theirs no name. Made when it is asked for, so that a
//! better guess changes no history.

use woothee::parser::Parser;
use woothee::woothee::VALUE_UNKNOWN;

/// The category of what is no browser, such as the libraries that apps send requests with.
const NO_BROWSER: &str = "misc";

/// Such as `Chrome on Windows`; the name of an app, where it is none of the known browsers.
pub fn of(user_agent: &str) -> Option<String> {
    let known = |name: &str| (!name.is_empty() && name != VALUE_UNKNOWN).then(|| name.to_owned());
    let parsed = Parser::new().parse(user_agent);
    let browser = parsed.as_ref().filter(|parsed| parsed.category != NO_BROWSER).map(|parsed| parsed.name);
    // Without its number: Windows 11 says that it is 10.
    let system = parsed.as_ref().map(|parsed| parsed.os.trim_end_matches(|c: char| !c.is_alphabetic()));
    let app = || {
        let name = user_agent.split(['/', ' ', '(']).next()?;
        (!name.is_empty() && name != "Mozilla").then(|| name.to_owned())
    };
    match (browser.and_then(known).or_else(app), system.and_then(known)) {
        (Some(browser), Some(system)) => Some(format!("{browser} on {system}")),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn browsers_systems_and_apps_are_told_as_far_as_they_say() {
        for (user_agent, kind) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                Some("Chrome on Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
                Some("Safari on iPhone"),
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
                Some("Firefox on Linux"),
            ),
            ("okhttp/4.12.0", Some("okhttp")),
            ("curl/8.5.0", Some("curl")),
            ("Notes", Some("Notes")),
            ("Mozilla/5.0", None),
            ("/", None),
            ("(", None),
        ] {
            assert_eq!(of(user_agent).as_deref(), kind, "{user_agent}");
        }
    }
}
