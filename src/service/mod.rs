//! The service as a program builds it: everything that `counterfoil` does, with parts of the program's own.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use crate::app::{RunningService, ServiceAccounts, ServiceParts, StartError};
use crate::delivery::Gateway;
use crate::http::ApiResource;
use crate::listeners::EventListener;
use crate::rules::AccessRule;
use crate::settings::{SettingsSection, Sources};
use crate::tokens::claims_source::ClaimsSource;
use crate::{cli, runtime};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A service that is being put together.
///
/// It reads the same settings as the program `counterfoil`, does everything that `counterfoil serve` does or nothing, and has the
/// same command line. `counterfoil` itself is a `Service` without parts of its own.
#[derive(Default)]
pub struct Service {
    parts: ServiceParts,
    settings: Vec<(&'static str, String)>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Service {
    /// Returns a service that reads its settings as `counterfoil` does: from `counterfoil.toml` in the present folder, from the
    /// environment, and from the flags of the command line.
    pub fn from_environment() -> Self {
        Self::default()
    }

    /// Sets a setting, whatever the file and the environment say: `("server.listen", "127.0.0.1:0")`. A list is written as in TOML:
    /// `("browsers.allowed_origins", r#"["https://app.example"]"#)`.
    #[must_use]
    pub fn setting(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((key, value.into()));
        self
    }

    /// Reads a section of the program's own with the other settings.
    #[must_use]
    pub fn settings<T>(mut self, section: &SettingsSection<T>) -> Self
    where
        T: DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        self.parts.sections.push(section.section());
        self
    }

    /// Sends messages by a gateway of the program's own, by the name that the settings give it:
    ///
    /// ```toml
    /// [delivery]
    /// phone = "acme"          # codes for e-mail addresses still come in the answer, in development
    /// [gateways.acme]
    /// kind = "own"
    /// ```
    #[must_use]
    pub fn gateway(mut self, name: impl Into<String>, gateway: impl Gateway + 'static) -> Self {
        self.parts.gateways.push((name.into(), Arc::new(gateway)));
        self
    }

    /// Puts claims of the program's own into access tokens. A service takes one source.
    #[must_use]
    pub fn claims(mut self, claims: impl ClaimsSource + 'static) -> Self {
        self.parts.claims.push(Arc::new(claims));
        self
    }

    /// Asks a rule of the program's own about every code, sign-in and refresh, after the rules that were given before it. A rule
    /// may refuse what the service would allow, and never allow more.
    #[must_use]
    pub fn rule(mut self, rule: impl AccessRule + 'static) -> Self {
        self.parts.rules.push(Arc::new(rule));
        self
    }

    /// Hands events to a listener of the program's own, each at least once and in the order of the ledger. Its position is kept in the
    /// database under its name, so it goes on where it was when the service starts again.
    #[must_use]
    pub fn on_event(mut self, listener: impl EventListener + 'static) -> Self {
        self.parts.listeners.push(Arc::new(listener));
        self
    }

    /// Answers requests at paths of the program's own. The function is called for each worker thread. A path that the service has is
    /// refused at the start, whatever its methods.
    #[must_use]
    pub fn routes(mut self, resources: impl Fn() -> Vec<ApiResource> + Send + Sync + 'static) -> Self {
        self.parts.routes.add(resources);
        self
    }

    /// Shares a value with the handlers of the program, which take it as `web::Data<T>`. A handler that takes a value that is not
    /// shared answers 500, and the log names its type.
    #[must_use]
    pub fn share<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.parts.routes.share(value);
        self
    }

    /// Returns the accounts of the service, for a listener or another part of the program. They can be reached once the service has
    /// started; before, every call is answered by [`Problem::Unavailable`](crate::web::Problem::Unavailable). A rule and a source of
    /// claims must not change the account that they are asked about: the change would wait for their answer.
    pub fn accounts(&self) -> ServiceAccounts {
        self.parts.accounts.clone()
    }

    /// Does what the command line says, as the program `counterfoil` does; the whole of a `main` function. `serve` runs until it is
    /// told to stop.
    pub fn command_line(self) -> ExitCode {
        runtime::use_crypto_provider();
        cli::run(&self.parts, self.settings)
    }

    /// Starts the service on the present runtime, for a program that has more to do, and for tests. Logging is left to the program.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the settings or the parts, or what could not be reached. Nothing runs then.
    pub async fn start(self) -> Result<RunningService, StartError> {
        runtime::use_crypto_provider();
        let sources = Sources::read(None, Sources::environment()?, self.settings.into_iter())?;
        let settings = sources.with_sections(self.parts.sections.clone()).check()?;
        RunningService::start(&settings, &self.parts).await
    }
}
