//! The body: one JSON object, within its size and its time, each field read into its domain type.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use counterfoil_domain::values::{EmailAddress, Identifier, OtpCode, PhoneNumber, Region};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use super::FieldError;
use super::reason::GroundsBeside;
use crate::http::AppState;
use crate::http::document::{DescribeOperation, FormField, FormFields, OperationDraft};
use crate::http::problem::{FieldErrors, Problem};

const LIMIT: usize = 16 * 1024;
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What an endpoint reads from the fields of a body or a query. A field is a text, a flag, a list of texts or a time; its reader
/// gets the text as it was sent, and `null` counts as absent.
///
/// ```
/// use counterfoil::web::{FieldError, FromFields, RequestFields, utoipa};
///
/// /// The body `{"text": "…", "pinned": true}`.
/// struct NewNote {
///     text: NoteText,
///     pinned: bool,
/// }
///
/// #[derive(utoipa::ToSchema)]
/// struct NoteText(String);
///
/// struct EmptyNote;
///
/// impl FieldError for EmptyNote {
///     fn message(&self) -> &'static str {
///         "Write something."
///     }
/// }
///
/// impl NoteText {
///     fn parse(text: &str) -> Result<Self, EmptyNote> {
///         if text.trim().is_empty() { Err(EmptyNote) } else { Ok(Self(text.to_owned())) }
///     }
/// }
///
/// impl FromFields for NewNote {
///     fn from_fields(fields: &mut RequestFields) -> Option<Self> {
///         // Both are read before either is missed, so that the answer names every wrong field.
///         let (text, pinned) = (fields.required("text", NoteText::parse), fields.flag("pinned"));
///         Some(Self { text: text?, pinned: pinned? })
///     }
/// }
/// ```
pub trait FromFields: Sized {
    /// Reads the fields. Complaints are noted in `fields`; `None` only where there are some.
    fn from_fields(fields: &mut RequestFields) -> Option<Self>;
}

/// The body of a request, read into `T`.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: FromFields> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let region = request.app_data::<web::Data<AppState>>().and_then(|state| state.http.default_region);
        let beside = GroundsBeside::body(request);
        let whole = whole(request, payload, "application/json");
        async move {
            let mut fields = RequestFields::parse(&whole.await?, region)?.with_grounds(beside);
            let form = T::from_fields(&mut fields);
            fields.finish(form).map(Self)
        }
        .boxed_local()
    }
}

impl<T: FromFields> DescribeOperation for JsonBody<T> {
    fn describe(operation: &mut OperationDraft) {
        let asked = RequestFields::asked_by::<T>();
        operation.body("application/json", asked.body(), asked.needs_a_field());
        for parameter in asked.grounds_beside_body() {
            operation.parameter(parameter);
        }
        operation.problems([Problem::MalformedBody, Problem::an_invalid_field()]);
        operation.problems(REFUSED);
    }
}

/// What any body may be refused with.
pub(super) const REFUSED: [Problem; 3] =
    [Problem::UnsupportedMediaType, Problem::BodyTooLarge, Problem::BodyTooSlow];

/// The whole body, which has to be of that media type; one that is absent needs none.
pub(super) fn whole(
    request: &HttpRequest,
    payload: &mut Payload,
    media_type: &str,
) -> impl Future<Output = Result<Vec<u8>, Problem>> + use<> {
    let acceptable = is_plain(request, media_type);
    // A form always names a type, so a page of another site cannot send a request without one but by asking first.
    let may_be_absent = !request.headers().contains_key(header::CONTENT_TYPE);
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let too_large = announced.is_some_and(|length: u64| length > LIMIT as u64);
    let payload = payload.take();
    async move {
        if !acceptable && !may_be_absent {
            return Err(Problem::UnsupportedMediaType);
        }
        if too_large {
            return Err(Problem::BodyTooLarge);
        }
        let body =
            tokio::time::timeout(TIME_LIMIT, read(payload)).await.map_err(|_| Problem::BodyTooSlow)??;
        if acceptable || body.is_empty() { Ok(body) } else { Err(Problem::UnsupportedMediaType) }
    }
}

fn is_plain(request: &HttpRequest, media_type: &str) -> bool {
    let encoded =
        request.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let wanted = request.mime_type().ok().flatten().is_some_and(|mime| {
        let charset = mime.get_param("charset");
        mime.essence_str() == media_type && charset.is_none_or(|charset| charset == "utf-8")
    });
    wanted && !encoded
}

async fn read(mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::MalformedBody)?;
        if body.len() + chunk.len() > LIMIT {
            return Err(Problem::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The fields of a body, taken one by one; what is left at the end is unknown.
pub struct RequestFields {
    pub(super) values: BTreeMap<String, Value>,
    default_region: Option<Region>,
    errors: FieldErrors,
    /// The reason and the case that the request gives in another place.
    pub(super) beside: GroundsBeside,
    /// Which fields are read, where nothing else is wanted.
    pub(super) asked: Option<FormFields>,
}

impl RequestFields {
    /// The fields that a form reads.
    pub(super) fn asked_by<T: FromFields>() -> FormFields {
        let mut fields = Self { asked: Some(FormFields::default()), ..Self::none(None) };
        let form = T::from_fields(&mut fields);
        debug_assert!(form.is_none(), "nothing is there to be read");
        fields.asked.unwrap_or_default()
    }

    fn none(default_region: Option<Region>) -> Self {
        Self {
            values: BTreeMap::new(),
            default_region,
            errors: FieldErrors::new(),
            beside: GroundsBeside::default(),
            asked: None,
        }
    }

    /// The fields of a body; an absent one has none.
    fn parse(body: &[u8], default_region: Option<Region>) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::none(default_region));
        }
        let Object(values) = serde_json::from_slice(body).map_err(|_| Problem::MalformedBody)?;
        Ok(Self { values, ..Self::none(default_region) })
    }

    /// The fields of a query. One that is named twice says nothing, and is complained of.
    pub(super) fn of_query(query: &str, default_region: Option<Region>) -> Self {
        let mut fields = Self::none(default_region);
        let mut repeated = BTreeSet::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if fields.values.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
                repeated.insert(name.into_owned());
            }
        }
        for name in repeated {
            fields.complain(&name, "field_repeated");
        }
        fields
    }

    /// The same, with the reason and the case that the request gives in another place.
    pub(super) fn with_grounds(self, beside: GroundsBeside) -> Self {
        Self { beside, ..self }
    }

    pub(super) fn finish<T>(mut self, form: Option<T>) -> Result<T, Problem> {
        // A request with thousands of unknown names gets only a few of them back.
        let unknown: Vec<String> = self.values.keys().take(10).cloned().collect();
        for name in unknown {
            self.complain(&name, "field_unknown");
        }
        match form {
            Some(form) if self.errors.is_empty() => Ok(form),
            Some(_) | None => Err(Problem::InvalidFields(self.errors)),
        }
    }

    /// Notes what is wrong with a field.
    pub fn complain(&mut self, field: &str, message: &'static str) {
        let name = field.chars().filter(|c| !c.is_control()).take(64).collect();
        self.errors.entry(name).or_default().push(message);
    }

    /// A field that has to be there.
    pub fn required<T: ToSchema, E: FieldError>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if let Some(asked) = &mut self.asked {
            asked.field(FormField::required::<T>(name));
            return None;
        }
        if !self.has(name) {
            self.values.remove(name);
            self.complain(name, "field_required");
            return None;
        }
        self.optional(name, parse)?
    }

    /// A field that may be absent or null. The outer `None` is a complaint.
    pub fn optional<T: ToSchema, E: FieldError>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        if let Some(asked) = &mut self.asked {
            asked.field(FormField::optional::<T>(name));
            return None;
        }
        let message = match self.values.remove(name) {
            None | Some(Value::Null) => return Some(None),
            Some(Value::String(text)) => match parse(&text) {
                Ok(value) => return Some(Some(value)),
                Err(error) => error.message(),
            },
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => "field_not_text",
        };
        self.complain(name, message);
        None
    }

    /// A field that is true or false, and false where it is absent or null.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        if let Some(asked) = &mut self.asked {
            asked.field(FormField::optional::<bool>(name));
            return None;
        }
        match self.values.remove(name) {
            None | Some(Value::Null) => Some(false),
            Some(Value::Bool(flag)) => Some(flag),
            Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.complain(name, "field_not_boolean");
                None
            }
        }
    }

    /// A field that has to be there, a list of texts.
    pub fn list<T: ToSchema, E: FieldError>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>>
    where
        Vec<T>: PartialSchema,
    {
        if let Some(asked) = &mut self.asked {
            asked.field(FormField::required::<Vec<T>>(name));
            return None;
        }
        let message = match self.values.remove(name) {
            None | Some(Value::Null) => "field_required",
            Some(Value::Array(items)) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                match texts.map(|texts| texts.into_iter().map(parse).collect::<Result<Vec<T>, E>>()) {
                    Some(Ok(values)) => return Some(values),
                    Some(Err(error)) => error.message(),
                    None => "field_not_list",
                }
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => "field_not_list",
        };
        self.complain(name, message);
        None
    }

    /// A field that may be absent or null, or has the name by which older clients know it.
    pub fn renamed<T: ToSchema, E: FieldError>(
        &mut self,
        name: &'static str,
        older: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        if let Some(asked) = &mut self.asked {
            asked.one_of([[FormField::optional::<T>(name)], [FormField::required::<T>(older).deprecated()]]);
            return None;
        }
        self.optional(if self.has(older) && !self.has(name) { older } else { name }, parse)
    }

    /// The region that a national number is read in.
    pub(crate) fn default_region(&self) -> Option<Region> {
        self.default_region
    }

    /// Whether it is only asked which fields there are, and none is there to be read.
    pub(crate) fn is_only_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether a field is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }
}

/// Returns the field or the parameter that an identifier stands in.
fn identifier_field(identifier: &Identifier) -> &'static str {
    match identifier {
        Identifier::Phone(_) => "phone_number",
        Identifier::Email(_) => "email",
    }
}

/// Returns an identifier as a parameter of a query has it, for the sealed part of a record.
pub fn named_identifier(identifier: &Identifier) -> String {
    format!("{}={}", identifier_field(identifier), identifier.as_str())
}

/// The phone number or the e-mail address, or neither. The outer `None` is a complaint.
pub fn read_any_identifier(fields: &mut RequestFields) -> Option<Option<Identifier>> {
    if let Some(asked) = &mut fields.asked {
        asked.field(FormField::optional::<PhoneNumber>("phone_number"));
        asked.field(FormField::optional::<EmailAddress>("email"));
        return None;
    }
    if fields.has("phone_number") || fields.has("email") {
        return read_identifier(fields).map(Some);
    }
    Some(None)
}

/// The phone number or the e-mail address: exactly one of the two.
pub fn read_identifier(fields: &mut RequestFields) -> Option<Identifier> {
    if let Some(asked) = &mut fields.asked {
        asked.one_of([
            [FormField::required::<PhoneNumber>("phone_number"), FormField::null("email")],
            [FormField::required::<EmailAddress>("email"), FormField::null("phone_number")],
        ]);
        return None;
    }
    let region = fields.default_region;
    match (fields.has("phone_number"), fields.has("email")) {
        (true, true) => {
            for name in ["phone_number", "email"] {
                fields.values.remove(name);
                fields.complain(name, "field_one_identifier");
            }
            None
        }
        (false, true) => {
            fields.values.remove("phone_number");
            fields.required("email", EmailAddress::parse).map(Identifier::Email)
        }
        (_, false) => {
            fields.values.remove("email");
            fields.required("phone_number", |text| PhoneNumber::parse(text, region)).map(Identifier::Phone)
        }
    }
}

/// The code of a message (`code`) or of the account's authenticator (`totp`): exactly one of the two.
pub fn read_either_code(fields: &mut RequestFields) -> Option<SentOrShownCode> {
    if let Some(asked) = &mut fields.asked {
        asked.one_of([
            [FormField::required::<OtpCode>("code"), FormField::null("totp")],
            [FormField::required::<OtpCode>("totp"), FormField::null("code")],
        ]);
        return None;
    }
    match (fields.has("code"), fields.has("totp")) {
        (true, true) => {
            for name in ["code", "totp"] {
                fields.values.remove(name);
                fields.complain(name, "field_one_code");
            }
            None
        }
        (false, true) => {
            fields.values.remove("code");
            fields.required("totp", OtpCode::parse).map(SentOrShownCode::Shown)
        }
        (_, false) => {
            fields.values.remove("totp");
            fields.required("code", OtpCode::parse).map(SentOrShownCode::Sent)
        }
    }
}

/// A one-time code, by where the user has it from.
#[derive(Debug)]
pub enum SentOrShownCode {
    /// The code of a message to a phone number or an e-mail address.
    Sent(OtpCode),
    /// The code that an authenticator shows.
    Shown(OtpCode),
}

/// A token as it is presented, which nothing is known of yet.
#[derive(Debug, ToSchema)]
#[schema(example = "cfr_1_…")]
pub struct TokenText(pub String);

impl TokenText {
    /// Takes any text; what it is worth is seen when the token is opened.
    pub fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// A JSON object that names nothing twice. (A derived struct would take an array, a map the last of two.)
struct Object(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut values = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if values.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field is named twice"));
                    }
                }
                Ok(Object(values))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
