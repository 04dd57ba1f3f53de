//! A row of the route table: a path, its methods and their handlers, and what the document says about them.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route, guard};

use super::Problem;
use super::document::{DescribeOperation, OperationDoc, OperationDraft};

/// A path with its handlers.
pub struct ApiResource {
    /// The path as the document has it. The service answers at it with and without its last slash.
    pub path: String,
    /// The handlers of the path, each for other methods.
    pub routes: Vec<MethodRoute>,
}

/// The handler of a path for some methods.
pub struct MethodRoute {
    /// The methods; the first is the one that the document names.
    pub methods: &'static [Method],
    /// The id of the operation in the document.
    pub operation_id: &'static str,
    route: Route,
    /// Makes what the document says about the operation.
    pub describe: Box<dyn FnOnce() -> OperationDraft>,
}

/// Returns a path with these handlers.
pub fn path<const N: usize>(path: impl Into<String>, routes: [MethodRoute; N]) -> ApiResource {
    ApiResource { path: path.into(), routes: routes.into() }
}

macro_rules! route_constructors {
    ($($(#[doc = $doc:literal])+ $name:ident: $methods:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub fn $name<F, Args>(handler: F, doc: OperationDoc) -> MethodRoute
            where
                F: Handler<Args, Output: Responder + DescribeOperation>,
                Args: FromRequest + DescribeOperation + 'static,
            {
                method_route($methods, handler, doc)
            }
        )+
    };
}

route_constructors! {
    /// Routes GET, and HEAD, which is the same without its body (RFC 9110, section 9.3.2).
    get: &[Method::GET, Method::HEAD];
    /// Routes GET alone: a response without an end, or with an effect, has no HEAD.
    get_stream: &[Method::GET];
    /// Routes POST to the handler.
    post: &[Method::POST];
    /// Routes PATCH to the handler.
    patch: &[Method::PATCH];
    /// Routes DELETE to the handler.
    delete: &[Method::DELETE];
}

fn method_route<F, Args>(methods: &'static [Method], handler: F, doc: OperationDoc) -> MethodRoute
where
    F: Handler<Args, Output: Responder + DescribeOperation>,
    Args: FromRequest + DescribeOperation + 'static,
{
    let has_method = guard::fn_guard(move |context| methods.contains(&context.head().method));
    let describe = move || {
        let mut operation = OperationDraft::new(&methods[0], doc);
        Args::describe(&mut operation);
        F::Output::describe(&mut operation);
        operation
    };
    let route = web::route().guard(has_method).to(handler);
    MethodRoute { methods, operation_id: doc.id, route, describe: Box::new(describe) }
}

impl ApiResource {
    /// Registers the handlers of the path. Any other method is answered with the list of those that the path has.
    pub fn register(self, config: &mut ServiceConfig) {
        let allowed: Vec<Method> = self.routes.iter().flat_map(|route| route.methods).cloned().collect();
        // The index of a tile has slashes, which the document cannot say.
        let resource = web::resource(self.path.trim_end_matches('/').replace("{tile}", "{tile:.+}"));
        let routes = self.routes.into_iter().map(|method_route| method_route.route);
        let resource = routes.fold(resource, actix_web::Resource::route);
        config.service(resource.default_service(web::to(move || {
            let allowed = allowed.clone();
            async move { Err::<(), _>(Problem::MethodNotAllowed(allowed)) }
        })));
    }
}
