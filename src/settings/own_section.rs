//! Sections of the settings that an embedding program reads.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, OnceLock};

use config::{Map, Value, ValueKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::raw::SECTION_NAMES;
use super::{SettingsError, invalid};

/// Where the sections of gateways are.
const GATEWAYS: &str = "gateways";

/// A section of the settings that an embedding program reads, as a value that its parts share.
///
/// The section is read into `T` with the other settings and from the same places: the file, then the environment
/// (`COUNTERFOIL__ACME__OPEN_FROM`). A section that is absent is read as an empty one. A setting that `T` does not have is an
/// error, and `counterfoil config show` shows the section as `T` serializes, with every [`Secret`](crate::crypto::secret::Secret)
/// masked. The name `gateways.acme` reads what the section of the gateway `acme` has beside its `kind`.
///
/// ```
/// use counterfoil::{Service, SettingsSection};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Serialize)]
/// struct OfficeHours {
///     #[serde(default = "eight")]
///     open_from: u8,
/// }
/// fn eight() -> u8 { 8 }
///
/// let hours = SettingsSection::<OfficeHours>::named("office_hours");
/// let service = Service::from_environment().settings(&hours).setting("office_hours.open_from", "9");
/// // A part that has a clone of `hours` calls `hours.get().open_from` when the service runs.
/// ```
pub struct SettingsSection<T> {
    name: &'static str,
    value: Arc<OnceLock<T>>,
}

impl<T> Clone for SettingsSection<T> {
    fn clone(&self) -> Self {
        Self { name: self.name, value: self.value.clone() }
    }
}

/// Shows no value, since any may be secret.
impl<T> fmt::Debug for SettingsSection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsSection").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Serialize + Send + Sync + 'static> SettingsSection<T> {
    /// Returns the section of that name, which is read when the service reads its settings.
    pub fn named(name: &'static str) -> Self {
        Self { name, value: Arc::default() }
    }

    /// Returns the section as the settings take it.
    pub(crate) fn section(&self) -> OwnSection {
        OwnSection(Arc::new(self.clone()))
    }
}

impl<T> SettingsSection<T> {
    /// Returns the settings of the section, as the service has read them.
    ///
    /// # Panics
    /// Before the service has read them, which it does before it calls any part of the program.
    pub fn get(&self) -> &T {
        let Some(value) = self.value.get() else {
            panic!(
                "the section {} ({}) was given to no service, or is not read yet",
                self.name,
                type_name::<T>()
            )
        };
        value
    }
}

/// A section of an embedding program, as the settings take it.
#[derive(Clone)]
pub struct OwnSection(Arc<dyn ReadSection>);

impl fmt::Debug for OwnSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnSection").field(&self.0.name()).finish()
    }
}

/// What is done with a section, whatever its type.
trait ReadSection: Send + Sync {
    fn name(&self) -> &'static str;

    /// Reads the section and keeps it.
    fn read(&self, section: Value) -> Result<(), SettingsError>;

    /// Returns the section as its type serializes, with secrets masked; none where it does not fit.
    fn masked(&self, section: Value) -> Option<Json>;
}

impl<T: DeserializeOwned + Serialize + Send + Sync + 'static> ReadSection for SettingsSection<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&self, section: Value) -> Result<(), SettingsError> {
        let written: Vec<String> = keys(&section);
        // A name that is missing may be one that is misspelled.
        let set =
            if written.is_empty() { String::new() } else { format!(" (it sets {})", written.join(", ")) };
        let value: T =
            section.try_deserialize().map_err(|error| invalid(self.name, &format!("{error}{set}")))?;
        let known = serde_json::to_value(&value).ok();
        let is_known = |key: &String| known.as_ref().is_none_or(|known| known.get(key).is_some());
        if let Some(unknown) = written.into_iter().find(|key| !is_known(key)) {
            return Err(invalid(format!("{}.{unknown}", self.name), "is no setting of this section"));
        }
        // The first reading counts: a rehearsal reads the same settings again.
        drop(self.value.set(value));
        Ok(())
    }

    fn masked(&self, section: Value) -> Option<Json> {
        serde_json::to_value(section.try_deserialize::<T>().ok()?).ok()
    }
}

/// Reads the sections of a program, and returns the settings without them.
///
/// # Errors
/// When a section has the name of one of the service's, appears twice, or does not fit its type.
pub(super) fn take(own: &[OwnSection], mut settings: Value) -> Result<Value, SettingsError> {
    for (n, OwnSection(section)) in own.iter().enumerate() {
        let name = section.name();
        if own[..n].iter().any(|OwnSection(former)| former.name() == name) {
            return Err(invalid(name, "two parts of the program read a section of this name"));
        }
        if SECTION_NAMES.contains(&name) {
            return Err(invalid(
                name,
                "is a section of the service; give the program's section another name",
            ));
        }
        section.read(cut(&mut settings, name).unwrap_or_else(empty_table))?;
    }
    if let (ValueKind::Table(sections), false) = (&settings.kind, own.is_empty())
        && let Some(unknown) = sections.keys().find(|name| !SECTION_NAMES.contains(&name.as_str()))
    {
        return Err(invalid(unknown.clone(), "is no section of the service or of the program"));
    }
    Ok(settings)
}

/// Returns the settings of the program's sections that are not set, each with its default as its type serializes it.
pub(super) fn defaults(own: &[OwnSection], settings: &Value) -> Vec<(String, Json)> {
    let mut unset = Vec::new();
    for OwnSection(section) in own {
        let written = cut(&mut settings.clone(), section.name()).unwrap_or_else(empty_table);
        let set = keys(&written);
        if let Some(Json::Object(shown)) = section.masked(written) {
            let defaults = shown.into_iter().filter(|(key, value)| !set.contains(key) && !value.is_null());
            unset.extend(defaults.map(|(key, value)| (format!("{}.{key}", section.name()), value)));
        }
    }
    unset
}

/// Returns a section as its type serializes, with secrets masked: a section of a program, or `service` for one of the service's,
/// to which the sections of the program's gateways are added.
pub(super) fn masked(own: &[OwnSection], name: &str, section: &Value, service: Option<Json>) -> Option<Json> {
    if let Some(OwnSection(found)) = own.iter().find(|OwnSection(section)| section.name() == name) {
        return found.masked(section.clone());
    }
    let mut masked = service?;
    if name == GATEWAYS {
        for OwnSection(section_of_gateway) in own {
            let Some(gateway) = gateway_of(section_of_gateway.name()) else { continue };
            let mut whole =
                Value::new(None, ValueKind::Table(Map::from([(GATEWAYS.to_owned(), section.clone())])));
            let shown =
                cut(&mut whole, section_of_gateway.name()).and_then(|value| section_of_gateway.masked(value));
            if let (Some(Json::Object(shown)), Some(place)) = (shown, masked.get_mut(gateway)) {
                *place = Json::Object(shown);
                place["kind"] = "own".into();
            }
        }
    }
    Some(masked)
}

/// Cuts a section out of the settings; of a gateway's all but its kind.
fn cut(settings: &mut Value, name: &str) -> Option<Value> {
    let ValueKind::Table(sections) = &mut settings.kind else { return None };
    let Some(gateway) = gateway_of(name) else { return sections.remove(name) };
    let ValueKind::Table(gateways) = &mut sections.get_mut(GATEWAYS)?.kind else { return None };
    let section = gateways.get_mut(gateway)?;
    let ValueKind::Table(written) = &mut section.kind else { return None };
    let kind = written.remove_entry("kind");
    let rest = std::mem::take(written);
    written.extend(kind);
    Some(Value::new(section.origin().map(str::to_owned).as_ref(), ValueKind::Table(rest)))
}

fn gateway_of(name: &str) -> Option<&str> {
    name.strip_prefix(GATEWAYS)?.strip_prefix('.')
}

fn empty_table() -> Value {
    Value::new(None, ValueKind::Table(Map::new()))
}

fn keys(section: &Value) -> Vec<String> {
    if let ValueKind::Table(table) = &section.kind { table.keys().cloned().collect() } else { Vec::new() }
}
