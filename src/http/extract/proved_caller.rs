//! A caller with fresh proof: for what a copied access token must not do.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::SignedInCaller;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::tokens::Token;

/// A caller whose session was proved within the last ten minutes, and what they ask, which is not looked at before that is
/// known.
#[derive(Debug)]
pub struct ProvedCaller<T> {
    /// The caller's access token.
    pub token: Token,
    /// What the request says.
    pub asked: T,
}

impl<T: FromRequest<Error: Into<Problem>> + 'static> FromRequest for ProvedCaller<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>().cloned();
        let (caller, asked) =
            (SignedInCaller::from_request(request, payload), T::from_request(request, payload));
        async move {
            let (state, token) = (state.ok_or(Problem::Internal)?, caller.await?.token);
            let proved = state.accounts.require_fresh_proof(token).await;
            proved.map_err(|error| state.problem(&error))?;
            Ok(Self { token, asked: asked.await.map_err(Into::into)? })
        }
        .boxed_local()
    }
}

impl<T: DescribeOperation> DescribeOperation for ProvedCaller<T> {
    fn describe(operation: &mut OperationDraft) {
        SignedInCaller::describe(operation);
        operation.problems([Problem::FreshProofRequired]);
        T::describe(operation);
    }
}
