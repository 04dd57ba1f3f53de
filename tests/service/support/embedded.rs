//! A node with parts of the test's own, as a program that embeds the service makes it.

use std::sync::{Arc, LazyLock};

use counterfoil::app::{Application, new_state, process_metrics};
use counterfoil::delivery::Gateways;
use counterfoil::http::AppState;
use counterfoil::postgres::DatabaseUrl;
use counterfoil::settings::Sources;
use metrics_exporter_prometheus::PrometheusHandle;

use super::{ApiClient, TestApp};

/// The metrics of all nodes in the test's process that began after the first use.
pub static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(process_metrics);

impl TestApp {
    /// Another node of the same service, in which the test has changed parts, with its connections through that URL.
    pub fn embed(
        &self,
        url: &DatabaseUrl,
        settings: &[(&'static str, &str)],
        change: impl FnOnce(&mut AppState),
    ) -> ApiClient {
        let flags = [
            ("server.listen", "127.0.0.1:0"),
            ("server.workers", "1"),
            ("identifiers.default_region", "IR"),
            ("limits.shared", "off"),
        ];
        let flags = flags.iter().chain(settings).map(|(key, value)| (*key, (*value).to_owned()));
        let settings = Sources::read(None, std::iter::empty(), flags).unwrap().check().unwrap();
        let gateways = Gateways::new(&settings.delivery, [], self.clock.clone()).unwrap();
        let clock: Arc<_> = self.clock.clone();
        let mut state = new_state(&settings, url, &self.keyring, gateways, clock, METRICS.clone()).unwrap();
        change(&mut state);
        let embedded = Application::build(&settings, &self.keyring, state).unwrap();
        let api = ApiClient::new(embedded.address());
        tokio::spawn(embedded.run());
        api
    }
}
