//! A member of staff who calls: signed in, with a role that the account has at the time of the request; or the operator at the server.

use std::fmt;
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use counterfoil_domain::user_account::{ActingStaff, RequiredProof};
use counterfoil_domain::values::{OperatorName, Role};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{AUDIT_REASON, ClientInfo, SignedInCaller, caller, reason, staff_read};
use crate::accounts::{AccountsError, ActionGrounds, RequestContext, StaffAction, StaffActor, lack};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::http::problem::A_MINUTE;
use crate::tokens::Token;

/// A role that an endpoint asks for.
pub trait NeededRole {
    /// The role that the account must have.
    const ROLE: Role;
}

/// The role of administrators. What they read is put on record by the extractor, before it is shown.
#[derive(Debug)]
pub enum AdminRole {}

impl NeededRole for AdminRole {
    const ROLE: Role = Role::Admin;
}

/// The role of auditors. Each operation puts on record what they read, with their reason.
#[derive(Debug)]
pub enum AuditorRole {}

impl NeededRole for AuditorRole {
    const ROLE: Role = Role::Auditor;
}

/// The operator whose requests come from the command line at the server, over no network. Access to the server is their authority.
#[derive(Clone, Debug)]
pub struct LocalOperator(pub OperatorName);

/// A caller with the role `R`, and what they ask, which is not read before the role is known.
pub struct StaffCaller<R, T> {
    /// What the request asks for.
    pub asked: T,
    by: StaffActor,
    origin: RequestContext,
    role: PhantomData<R>,
}

impl<R, T: fmt::Debug> fmt::Debug for StaffCaller<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaffCaller")
            .field("actor", &self.actor())
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl<R, T> StaffCaller<R, T> {
    /// Returns the member of staff, as events name them.
    pub fn actor(&self) -> ActingStaff {
        self.by.acting()
    }

    /// Returns the access token of the request; none where the operator calls from the server.
    pub(crate) fn token(&self) -> Option<Token> {
        match &self.by {
            StaffActor::Account { token, .. } => Some(*token),
            StaffActor::Operator(_) | StaffActor::Service(_) => None,
        }
    }

    /// Divides the request into what is asked for and the action of the staff, with the reason, or the reason and the case, that
    /// `read` finds in it.
    pub(crate) fn into_action<U, G: Into<ActionGrounds>>(
        self,
        read: impl FnOnce(T) -> (U, G),
    ) -> (U, StaffAction) {
        let (asked, grounds) = read(self.asked);
        let ActionGrounds { reason, case } = grounds.into();
        (asked, StaffAction { by: self.by, reason, case, origin: self.origin })
    }
}

impl<R: NeededRole, T: FromRequest<Error: Into<Problem>> + 'static> FromRequest for StaffCaller<R, T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>().cloned();
        let operator = request.app_data::<web::Data<LocalOperator>>().cloned();
        let caller = operator.is_none().then(|| SignedInCaller::from_request(request, payload));
        let client = ClientInfo::from_request(request, payload);
        let asked = T::from_request(request, payload);
        let request = request.clone();
        async move {
            let state = state.ok_or(Problem::Internal)?;
            let (by, origin) = match (operator, caller) {
                (Some(operator), _) => {
                    (StaffActor::Operator(operator.0.clone()), RequestContext::nowhere("command-line"))
                }
                (None, Some(caller)) => {
                    let (token, origin) = (caller.await?.token, client.await?.into());
                    let action =
                        format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
                    check_or_record(&state, token, R::ROLE, &request, (&action, &origin)).await?;
                    (StaffActor::Account { token, action }, origin)
                }
                (None, None) => return Err(Problem::Internal),
            };
            let caller = Self { asked: asked.await.map_err(Into::into)?, by, origin, role: PhantomData };
            if R::ROLE == Role::Admin && request.method().is_safe() {
                let reason = reason::given_in_header(&request)?;
                let who =
                    StaffAction { by: caller.by.clone(), reason, case: None, origin: caller.origin.clone() };
                staff_read::put_on_record(&state, &request, &who).await?;
            }
            Ok(caller)
        }
        .boxed_local()
    }
}

/// Checks the role and the second factor of a caller. A denial is put on record.
async fn check_or_record(
    state: &AppState,
    token: Token,
    role: Role,
    request: &HttpRequest,
    (action, origin): (&str, &RequestContext),
) -> Result<(), Problem> {
    // What changes something takes a second factor that was passed a moment ago.
    let passed = if request.method().is_safe() { RequiredProof::InSession } else { RequiredProof::Lately };
    let Err(error) = check_role(state, token, role, passed).await else { return Ok(()) };
    if let AccountsError::Refused(refusal) = error
        && let Some(lacks) = lack(refusal)
    {
        let noted = state.accounts.deny_access(token, action.to_owned(), (role, lacks), origin.clone()).await;
        noted.map_err(|error| state.problem(&error))?;
    }
    Err(state.problem(&error))
}

impl<R: NeededRole, T: DescribeOperation> DescribeOperation for StaffCaller<R, T> {
    fn describe(operation: &mut OperationDraft) {
        caller::describe(operation, &[R::ROLE.as_str()]);
        operation.problems([Problem::Forbidden, Problem::SecondFactorRequired]);
        if R::ROLE == Role::Admin && !operation.changes_something() {
            operation.parameter(AUDIT_REASON.parameter());
            operation.problems([Problem::an_invalid_field(), Problem::TooManyRequests(A_MINUTE)]);
        }
        T::describe(operation);
    }
}

/// Whether the account of a token has the role now, and its session has passed the second factor. Neither the token nor this
/// node's memory is asked: a role that was taken is of no use from then on.
///
/// # Errors
/// [`AccountsError`] when it may not, or the account cannot be read.
pub async fn check_role(
    state: &AppState,
    token: Token,
    role: Role,
    passed: RequiredProof,
) -> Result<(), AccountsError> {
    let account = state.accounts.standing(token.account).await?;
    Ok(account.may(token.session, role, passed, state.clock.now())?)
}
