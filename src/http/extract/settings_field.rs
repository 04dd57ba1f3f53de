//! A field that is an object of settings.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::body::RequestFields;
use crate::http::document::FormField;

/// Settings by their names, each with its value as a text.
#[derive(Debug)]
pub struct NamedSettings(pub Vec<(String, String)>);

impl PartialSchema for NamedSettings {
    fn schema() -> RefOr<Schema> {
        let types = vec![Type::String, Type::Integer, Type::Boolean];
        let value = ObjectBuilder::new().schema_type(SchemaType::Array(types));
        let settings =
            ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(value.into())));
        settings.examples([serde_json::json!({"codes.resend_after": 30})]).into()
    }
}

impl ToSchema for NamedSettings {}

impl RequestFields {
    /// A field that has to be there, an object of settings. One that is not among those is complained of by its name.
    pub fn settings(&mut self, name: &'static str, among: &[&str]) -> Option<NamedSettings> {
        if let Some(asked) = &mut self.asked {
            asked.field(FormField::required::<NamedSettings>(name));
            return None;
        }
        let settings = match self.values.remove(name) {
            None | Some(Value::Null) => {
                self.complain(name, "field_required");
                return None;
            }
            Some(Value::Object(settings)) => settings,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                self.complain(name, "field_not_settings");
                return None;
            }
        };
        let mut named = Some(Vec::new());
        for (setting, value) in settings {
            let complaint = match value {
                _ if !among.contains(&&*setting) => "setting_not_rehearsed",
                Value::String(text) => {
                    named.iter_mut().for_each(|named| named.push((setting.clone(), text.clone())));
                    continue;
                }
                Value::Number(_) | Value::Bool(_) => {
                    named.iter_mut().for_each(|named| named.push((setting.clone(), value.to_string())));
                    continue;
                }
                Value::Null | Value::Array(_) | Value::Object(_) => "setting_unfit",
            };
            self.complain(&format!("{name}.{setting}"), complaint);
            named = None;
        }
        named.map(NamedSettings)
    }
}
