//! What can go wrong with any gateway that speaks HTTP.

use std::time::Duration;

use counterfoil::runtime::clock::Clock as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::{GatewaySender, NUMBER, ProviderReply, ProviderServer, SECRET, code, phone, told};
use crate::support::ManualClock;

/// All of them, at that URL.
fn each_at(url: &str) -> [GatewaySender; 3] {
    [
        format!("kind = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = \"{SECRET}\"\nfrom = \"+15005550006\"\nurl = \"{url}\""),
        format!("kind = \"kavenegar\"\napi_key = \"{SECRET}\"\nurl = \"{url}\""),
        format!("kind = \"webhook\"\nsecret = \"whsec_aHVzaC1odXNoLWh1c2gtaHVzaC1odXNo\"\nurl = \"{url}/{SECRET}\""),
    ]
    .map(|section| GatewaySender::of_phone(&section))
}

#[tokio::test]
async fn an_unclear_answer_of_a_provider_is_retried() {
    for garbage in
        ["", "<html>Welcome to the hotel</html>", "{}", "[]", "null", "{\"return\": 200}", "\0\u{fffd}"]
    {
        let server = ProviderServer::start(move |_| ProviderReply::text(200, garbage));
        // A webhook says all it has to say by its status.
        for sender in &each_at(&server.url)[..2] {
            let answer = told(sender.send(&phone(NUMBER), &code()).await);
            assert_eq!(answer, ("unavailable", "status 200, and no clear answer".to_owned(), None));
        }
    }
    let long = ProviderServer::start(|_| ProviderReply::text(200, &"x".repeat(1024 * 1024)));
    for sender in each_at(&long.url) {
        let answer = told(sender.send(&phone(NUMBER), &code()).await);
        assert_eq!(answer, ("unavailable", "the answer is too long".to_owned(), None));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = ProviderServer::start(|_| ProviderReply::text(200, "{}"));
    let url = elsewhere.url.clone();
    let server = ProviderServer::start(move |_| ProviderReply::text(307, "").with("location", &url));
    for sender in each_at(&server.url) {
        let answer = told(sender.send(&phone(NUMBER), &code()).await);
        assert_eq!(answer, ("refused", "status 307".to_owned(), None));
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_provider_that_names_a_time_to_retry_is_asked_again_then() {
    let now = ManualClock::new().now();
    let later = (now + Duration::from_secs(100)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (value, wait) in [("30", Some(30)), (later.as_str(), Some(100)), ("soon", None), ("-1", None)] {
        let given = value.to_owned();
        let server =
            ProviderServer::start(move |_| ProviderReply::text(503, "down").with("retry-after", &given));
        for sender in each_at(&server.url) {
            let (outcome, reason, told) = told(sender.send(&phone(NUMBER), &code()).await);
            assert_eq!((outcome, reason.as_str()), ("unavailable", "status 503"));
            // A time is a little nearer by now.
            let near = |(told, wait): (u64, u64)| (wait.saturating_sub(20)..=wait).contains(&told);
            assert!(told == wait || told.zip(wait).is_some_and(near), "{value}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_apart_from_an_answer_that_breaks_off_or_is_late() {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let breaking = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let breaks_off = breaking.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = breaking.accept().await {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"sid\"").await.unwrap();
        }
    });
    let late = ProviderServer::start(|_| ProviderReply {
        after: Duration::from_secs(60),
        ..ProviderReply::text(200, "{}")
    });
    for (url, reason) in [
        (format!("http://{refusing}"), "no connection"),
        (format!("http://{breaks_off}"), "the answer broke off"),
        (late.url.clone(), "no answer in time"),
    ] {
        let [a, b, c] = each_at(&url);
        let (to, content) = (phone(NUMBER), code());
        let answers = tokio::join!(a.send(&to, &content), b.send(&to, &content), c.send(&to, &content));
        for answer in [answers.0, answers.1, answers.2] {
            assert_eq!(told(answer), ("unavailable", reason.to_owned(), None));
        }
    }
}
