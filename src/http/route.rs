//! A row of the route table: a path, its methods and their handlers, and what the document says about them.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route, guard};

use super::Problem;
use super::document::{Described, Operation, Told};

/// A path with its handlers.
pub struct Resource {
    /// As the document has it; it answers with and without its last slash.
    pub path: String,
    /// Its handlers.
    pub handled: Vec<Handled>,
}

/// The handler of a path for some methods.
pub struct Handled {
    /// The methods; the first is the one that the document names.
    pub methods: &'static [Method],
    route: Route,
    /// Makes what the document says about it.
    pub describe: Box<dyn FnOnce() -> Operation>,
}

/// A path with these handlers.
pub fn at<const N: usize>(path: impl Into<String>, handled: [Handled; N]) -> Resource {
    Resource { path: path.into(), handled: handled.into() }
}

/// GET, and HEAD, which is the same without its body (RFC 9110, section 9.3.2).
pub const GET: &[Method] = &[Method::GET, Method::HEAD];

/// GET alone: an answer that goes on has no HEAD.
pub const STREAM: &[Method] = &[Method::GET];

/// POST.
pub const POST: &[Method] = &[Method::POST];

/// PATCH.
pub const PATCH: &[Method] = &[Method::PATCH];

/// DELETE.
pub const DELETE: &[Method] = &[Method::DELETE];

/// The handler for these methods.
pub fn on<F, Args>(methods: &'static [Method], handler: F, told: Told) -> Handled
where
    F: Handler<Args, Output: Responder + Described>,
    Args: FromRequest + Described + 'static,
{
    let is_one = guard::fn_guard(move |context| methods.contains(&context.head().method));
    let describe = move || {
        let mut operation = Operation::new(&methods[0], told);
        Args::describe(&mut operation);
        F::Output::describe(&mut operation);
        operation
    };
    Handled { methods, route: web::route().guard(is_one).to(handler), describe: Box::new(describe) }
}

impl Resource {
    /// Has the service answer at that path; other methods are answered with the ones there are.
    pub fn register(self, config: &mut ServiceConfig) {
        let allowed: Vec<Method> = self.handled.iter().flat_map(|handled| handled.methods).cloned().collect();
        let resource = web::resource(self.path.trim_end_matches('/'));
        let routes = self.handled.into_iter().map(|handled| handled.route);
        let resource = routes.fold(resource, actix_web::Resource::route);
        config.service(resource.default_service(web::to(move || {
            let allowed = allowed.clone();
            async move { Err::<(), _>(Problem::MethodNotAllowed(allowed)) }
        })));
    }
}
