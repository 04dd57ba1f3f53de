use std::path::Path;

/// A setting of `src/settings/default.toml`.
pub struct DefaultSetting {
    /// With its section: `server.listen`.
    pub name: String,
    /// As it is written there; none where the setting is shown by an example in a comment.
    pub default: Option<String>,
    /// What the comment beside it says.
    pub comment: String,
}

/// The sections of `src/settings/default.toml`, in their order, with their settings.
pub fn default_settings() -> Vec<(String, Vec<DefaultSetting>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/settings/default.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut sections = vec![("profile".to_owned(), Vec::new())];
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            sections.push((section.0.to_owned(), Vec::new()));
            continue;
        }
        let (is_example, line) = line.strip_prefix("# ").map_or((false, line), |line| (true, line));
        let Some((key, value)) = line.split_once(" = ") else { continue };
        if !key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            continue;
        }
        let (value, comment) = value.split_once(" # ").unwrap_or((value, ""));
        let value = value.trim().replace('|', "\\|");
        let value = if value == "[" { "[…]".to_owned() } else { value };
        let (section, settings) = sections.last_mut().unwrap();
        let name = if section == "profile" { key.to_owned() } else { format!("{section}.{key}") };
        let default = (!is_example).then_some(value);
        settings.push(DefaultSetting { name, default, comment: comment.trim().to_owned() });
    }
    sections
}
