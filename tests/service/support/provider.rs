//! The HTTP server of a provider of messages, and the requests that it gets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;

/// A request that the provider got.
#[derive(Clone, Debug)]
pub struct ProviderRequest {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl ProviderRequest {
    /// The fields of a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        assert_eq!(self.headers["content-type"], "application/x-www-form-urlencoded");
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// An answer that the provider gives.
#[derive(Clone, Debug, Default)]
pub struct ProviderReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub after: Duration,
}

impl ProviderReply {
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string(), after: Duration::ZERO }
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), ..Self::default() }
    }

    pub fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }
}

/// The HTTP server of a provider, ended with the runtime of its test.
pub struct ProviderServer {
    pub url: String,
    asked: Arc<Mutex<Vec<ProviderRequest>>>,
}

impl ProviderServer {
    /// Answers every request by that.
    pub fn start(answer: impl Fn(&ProviderRequest) -> ProviderReply + Send + Sync + 'static) -> Self {
        let (asked, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let kept = asked.clone();
        let server = HttpServer::new(move || {
            let (kept, answer) = (kept.clone(), answer.clone());
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let (kept, answer) = (kept.clone(), answer.clone());
                async move {
                    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
                    let headers = request.headers().iter();
                    let asked = ProviderRequest {
                        method: request.method().to_string(),
                        path: request.uri().to_string(),
                        headers: headers
                            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                            .collect(),
                        body: text(&body),
                    };
                    let reply = answer(&asked);
                    kept.lock().unwrap().push(asked);
                    tokio::time::sleep(reply.after).await;
                    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap());
                    for (name, value) in reply.headers {
                        response.insert_header((name, value));
                    }
                    response.body(reply.body)
                }
            }))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { url, asked }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<ProviderRequest> {
        self.asked.lock().unwrap().clone()
    }
}
