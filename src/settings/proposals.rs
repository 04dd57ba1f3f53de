//! The present settings with other values in the place of some, for rehearsals.

use super::{Settings, SettingsError, Sources};
use crate::audit::rehearsal::{PolicyProposals, ProposedPolicy, SettingValue, UnfitSetting};

/// How values are put in the place of these settings.
pub(super) fn proposals(sources: Sources) -> PolicyProposals {
    PolicyProposals::new(move |proposed| propose(&sources, proposed))
}

fn propose(sources: &Sources, proposed: &[SettingValue]) -> Result<ProposedPolicy, UnfitSetting> {
    let checked = check(sources, proposed).map_err(|error| {
        // One that does not fit by itself is named; else the last of those that do not fit together.
        let alone =
            proposed.iter().find_map(|set| Some((set, check(sources, std::slice::from_ref(set)).err()?)));
        let (setting, error) = match (alone, proposed.last()) {
            (Some(((setting, _), error)), _) => (setting.clone(), error),
            (None, last) => (last.map(|(setting, _)| setting.clone()).unwrap_or_default(), error),
        };
        UnfitSetting { setting, problem: error.to_string() }
    })?;
    let shown = sources.shown();
    let present = proposed.iter().map(|(setting, _)| {
        let found = shown.iter().find(|shown| shown.key == *setting);
        found.map(|shown| shown.value.clone()).unwrap_or_default()
    });
    Ok(ProposedPolicy { policy: checked.policy, present: present.collect() })
}

fn check(sources: &Sources, proposed: &[SettingValue]) -> Result<Settings, SettingsError> {
    sources.with(proposed.iter().cloned()).and_then(Sources::check)
}
