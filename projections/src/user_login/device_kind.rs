//! What a `User-Agent` header says of the device, for those who gave theirs no name. Made when it is asked for, so that a
//! better guess changes no history.

use woothee::parser::Parser;
use woothee::woothee::VALUE_UNKNOWN;

/// The category of what is no browser, such as the libraries that apps send requests with.
const NO_BROWSER: &str = "misc";

/// Products that call themselves Chrome or Safari as well, by what they add, with the names that people know them by. The
/// first that is found counts: an app stands before the browser that it is made with.
const PRODUCTS: [(&str, &str); 24] = [
    ("FBAV/", "Facebook"),
    ("Instagram ", "Instagram"),
    ("GSA/", "Google app"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("UCBrowser/", "UC Browser"),
    ("UBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("Whale/", "Whale"),
    ("OPiOS/", "Opera Mini"),
    ("OPT/", "Opera"),
    ("OPX/", "Opera GX"),
    ("OPR/", "Opera"),
    ("EdgiOS/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("CriOS/", "Chrome"),
    ("FxiOS/", "Firefox"),
    ("Focus/", "Firefox Focus"),
    ("; wv)", "App"),
];

/// Systems that people know by another name than the parser.
const SYSTEMS: [(&str, &str); 1] = [("Mac OSX", "macOS")];

/// The name of an app that is made with Electron, which stands before that of the browser in it.
fn electron_app(user_agent: &str) -> Option<&str> {
    let (before, _) = user_agent.split_once(" Chrome/").filter(|_| user_agent.contains(" Electron/"))?;
    let (name, version) = before.rsplit(' ').next()?.split_once('/')?;
    (!name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

/// Such as `Chrome on Windows`; the name of an app, where it is none of the known browsers.
pub fn from_user_agent(user_agent: &str) -> Option<String> {
    let known = |name: &str| (!name.is_empty() && name != VALUE_UNKNOWN).then(|| name.to_owned());
    let product = PRODUCTS.into_iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| name);
    let product = electron_app(user_agent).or(product);
    let parsed = Parser::new().parse(user_agent);
    let browser = parsed.as_ref().filter(|parsed| parsed.category != NO_BROWSER).map(|parsed| parsed.name);
    // Without its number: Windows 11 says that it is 10.
    let system = parsed.as_ref().map(|parsed| parsed.os.trim_end_matches(|c: char| !c.is_alphabetic()));
    let system = system.map(|name| {
        SYSTEMS.into_iter().find(|(other, _)| *other == name).map_or(name, |(_, preferred)| preferred)
    });
    let app = || {
        let name = user_agent.split(['/', ' ', '(']).next()?;
        (!name.is_empty() && name != "Mozilla").then(|| name.to_owned())
    };
    match (product.or(browser).and_then(known).or_else(app), system.and_then(known)) {
        (Some(browser), Some(system)) => Some(format!("{browser} on {system}")),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::from_user_agent;

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
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
                Some("Safari on macOS"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                Some("Samsung Internet on Android"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                Some("App on Android"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1 OPT/4.7.0",
                Some("Opera on iPhone"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
                Some("DuckDuckGo on iPhone"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/121.0.0.0 Mobile DuckDuckGo/5 Safari/537.36",
                Some("DuckDuckGo on Android"),
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 12; en-US; RMX3085) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.7.2.1636 Mobile Safari/537.36",
                Some("UC Browser on Android"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; HarmonyOS; NOH-AN00) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36",
                Some("Huawei Browser on Android"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.41.98 Chrome/130.0.0.0 Electron/33.0.1 Safari/537.36",
                Some("Slack on Windows"),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Notes/1.2.3 Chrome/130.0.0.0 Electron/33.0.1 Safari/537.36",
                Some("Notes on macOS"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
                Some("Chrome on iPhone"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
                Some("Edge on Windows"),
            ),
            ("okhttp/4.12.0", Some("okhttp")),
            ("curl/8.5.0", Some("curl")),
            ("Notes", Some("Notes")),
            ("Mozilla/5.0", None),
            ("/", None),
            ("(", None),
        ] {
            assert_eq!(from_user_agent(user_agent).as_deref(), kind, "{user_agent}");
        }
    }
}
