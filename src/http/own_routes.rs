//! Routes of an embedding program, which stand in the same application as those of the service.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use actix_web::web::{self, ServiceConfig};

use super::route::ApiResource;

/// Makes the resources of a program: once for each worker thread, and once for the document.
type MakeResources = Arc<dyn Fn() -> Vec<ApiResource> + Send + Sync>;

/// Registers a value that the handlers of a program share.
type RegisterData = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// The routes of an embedding program, and the values that their handlers share.
#[derive(Clone, Default)]
pub struct OwnRoutes {
    resources: Vec<MakeResources>,
    shared: Vec<RegisterData>,
    document: Arc<OnceLock<String>>,
}

impl fmt::Debug for OwnRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnRoutes").field("sources", &self.resources.len()).finish_non_exhaustive()
    }
}

/// A route of the program that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnRouteError {
    /// Another route answers requests at that path.
    #[error("the route {path} of the program collides with the route {other}")]
    Collides {
        /// The path of the program's route.
        path: String,
        /// The path that it collides with.
        other: String,
    },
    /// The path is no absolute path, or has no handlers.
    #[error("the route {0:?} is no path that begins with a slash and has a handler")]
    NoRoute(String),
    /// Another operation has that id in the document.
    #[error("two operations have the id {0:?}")]
    OperationId(&'static str),
}

impl OwnRoutes {
    /// Adds resources. The function is called for each worker thread, since handlers do not move between threads.
    pub fn add(&mut self, resources: impl Fn() -> Vec<ApiResource> + Send + Sync + 'static) {
        self.resources.push(Arc::new(resources));
    }

    /// Adds a value that handlers take as `web::Data<T>`.
    pub fn share<T: Any + Send + Sync>(&mut self, value: T) {
        let value = web::Data::new(value);
        self.shared.push(Arc::new(move |config| {
            config.app_data(value.clone());
        }));
    }

    /// Returns the resources of the program.
    pub fn table(&self) -> Vec<ApiResource> {
        self.resources.iter().flat_map(|make| make()).collect()
    }

    /// Checks that each route can be reached and is the only one of its path.
    ///
    /// # Errors
    /// [`OwnRouteError`] names the first that is not.
    pub fn check(&self, ours: &[ApiResource], pages: &[&str]) -> Result<(), OwnRouteError> {
        let mut taken: Vec<String> = ours.iter().map(|resource| resource.path.clone()).collect();
        taken.extend(pages.iter().map(|page| (*page).to_owned()));
        let mut ids: BTreeSet<&str> = operation_ids(ours).collect();
        let own = self.table();
        for id in operation_ids(&own) {
            if !ids.insert(id) {
                return Err(OwnRouteError::OperationId(id));
            }
        }
        for resource in own {
            let path = resource.path;
            if !path.starts_with('/') || resource.routes.is_empty() {
                return Err(OwnRouteError::NoRoute(path));
            }
            if let Some(other) = taken.iter().find(|other| overlap(&path, other)) {
                return Err(OwnRouteError::Collides { other: other.clone(), path });
            }
            taken.push(path);
        }
        Ok(())
    }

    /// Registers the shared values and the resources.
    pub fn register(&self, config: &mut ServiceConfig) {
        for share in &self.shared {
            share(config);
        }
        for resource in self.table() {
            resource.register(config);
        }
    }

    /// Returns the text of the OpenAPI document, which `make` makes of the program's resources at the first call.
    pub fn document_text(&self, make: impl FnOnce(Vec<ApiResource>) -> String) -> &str {
        self.document.get_or_init(|| make(self.table()))
    }
}

fn operation_ids(resources: &[ApiResource]) -> impl Iterator<Item = &'static str> {
    resources.iter().flat_map(|resource| resource.routes.iter().map(|route| route.operation_id))
}

/// Returns whether some path fits both patterns.
fn overlap(one: &str, other: &str) -> bool {
    let segments =
        |pattern: &str| -> Vec<String> { pattern.trim_matches('/').split('/').map(str::to_owned).collect() };
    let (one, other) = (segments(one), segments(other));
    let is_parameter = |segment: &str| segment.starts_with('{');
    one.len() == other.len()
        && one.iter().zip(&other).all(|(a, b)| a == b || is_parameter(a) || is_parameter(b))
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn patterns_overlap_where_some_path_fits_both() {
        for (one, other, expected) in [
            ("/company/me/", "/company/me", true),
            ("/accounts/{x}/", "/accounts/login/", true),
            ("/accounts/devices/first/", "/accounts/devices/{id}/", true),
            ("/company/me/", "/company/you/", false),
            ("/company/", "/company/{id}/", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
        }
    }
}
