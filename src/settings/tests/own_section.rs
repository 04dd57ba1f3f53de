//! Sections of an embedding program, as they are shown.

use serde::{Deserialize, Serialize};

use crate::crypto::secret::Secret;
use crate::settings::{SettingsSection, Sources};

#[derive(Deserialize, Serialize)]
struct Acme {
    api_key: Secret<String>,
    #[serde(default = "eight")]
    open_from: u8,
}

fn eight() -> u8 {
    8
}

fn shown(name: &'static str, set: &[(&'static str, &str)]) -> Vec<String> {
    let section = SettingsSection::<Acme>::named(name);
    let flags = set.iter().map(|(key, value)| (*key, (*value).to_owned()));
    let sources = Sources::read(None, std::iter::empty(), flags).expect("they can be read");
    let shown = sources.with_sections(vec![section.section()]).shown();
    let own = shown.into_iter().filter(|setting| setting.key.starts_with(name));
    own.map(|setting| format!("{} = {} ({})", setting.key, setting.value, setting.origin)).collect()
}

#[test]
fn a_section_is_shown_with_its_defaults_and_without_its_secrets() {
    let lines = shown("acme", &[("acme.api_key", "hush")]);
    assert_eq!(lines, ["acme.api_key = … (flag)", "acme.open_from = 8 (default)"]);
}

#[test]
fn what_a_gateway_of_the_program_has_beside_its_kind_is_shown_in_the_same_way() {
    let set =
        [("gateways.acme.kind", "own"), ("gateways.acme.api_key", "hush"), ("gateways.acme.open_from", "9")];
    let lines = shown("gateways.acme", &set);
    let expected = [
        "gateways.acme.api_key = … (flag)",
        "gateways.acme.kind = own (flag)",
        "gateways.acme.open_from = 9 (flag)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn nothing_is_shown_of_a_section_that_does_not_fit() {
    let lines = shown("acme", &[("acme.api_key", "hush"), ("acme.open_from", "soon")]);
    assert_eq!(lines, ["acme.api_key = … (flag)", "acme.open_from = … (flag)"]);
}
