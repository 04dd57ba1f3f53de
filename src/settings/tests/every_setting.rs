//! Every setting can be set by the environment, and takes effect.

use super::read_all;

/// Every setting, with a value that is not its default, as an environment variable holds it.
pub(super) const EVERY_SETTING: &[(&str, &str)] = &[
    ("profile", "development"),
    ("server.listen", "[::1]:9000"),
    ("server.metrics_listen", "127.0.0.1:9100"),
    ("server.workers", "3"),
    ("server.public_url", "https://auth.example"),
    ("server.trusted_proxies", "10.0.0.0/8,fd00::/8, 192.0.2.1"),
    ("server.docs", "false"),
    ("server.forwarded", "forwarded"),
    ("database.url", "postgresql://server:secret@db.example/x"),
    ("database.migration_url", "postgresql://owner:secret@db.example/x"),
    ("database.connections", "30"),
    ("keyring.file", "keys.json"),
    ("memory.accounts_mib", "200"),
    ("memory.tokens_mib", "20"),
    ("delivery.phone", "hook,sms"),
    ("delivery.email", "mail"),
    ("delivery.app_name", "Example"),
    ("delivery.language", "fa"),
    ("delivery.webotp_domain", "app.example"),
    ("delivery.devices_url", "https://app.example/devices"),
    ("delivery.phone_in.ir", "sms,hook"),
    ("delivery.prices.ir", "0.004"),
    ("gateways.sms.kind", "twilio"),
    ("gateways.sms.account_sid", "AC1"),
    ("gateways.sms.auth_token", "secret"),
    ("gateways.sms.from", "+15005550006"),
    ("gateways.hook", "{ kind = \"own\" }"),
    ("gateways.mail.kind", "smtp"),
    ("gateways.mail.server", "[2001:db8::1]:465"),
    ("gateways.mail.from", "App <no-reply@app.example>"),
    ("identifiers.default_region", "IR"),
    (
        "identifiers.test",
        "[{ identifier = \"a@app.example\", code = \"987654\", until = \"2100-01-01T00:00:00Z\" }]",
    ),
    ("codes.lifetime", "200"),
    ("codes.tries", "4"),
    ("codes.resend_after", "61"),
    ("codes.per_day", "9"),
    ("codes.wrong_per_hour", "9"),
    ("codes.wrong_in_a_row", "99"),
    ("sessions.idle", "3600"),
    ("sessions.absolute", "7200"),
    ("sessions.refresh_grace", "61"),
    ("sessions.refreshes_per_minute", "61"),
    ("sessions.device_limit", "6"),
    ("sessions.device_limit_policy", "deny"),
    ("sessions.binding", "device"),
    ("sessions.rotation", "off"),
    ("sessions.new_device_notice", "device"),
    ("tokens.issuer", "https://auth.example"),
    ("tokens.audience", "example"),
    ("tokens.access_lifetime", "300"),
    ("tokens.claims.tenant", "acme"),
    ("tokens.profile_claims", "phone_number,email"),
    (
        "oauth.clients",
        "[{ id = \"orders\", secret_sha256 = \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\" }]",
    ),
    ("browsers.allowed_origins", "https://a.example,https://b.example"),
    ("browsers.allowed_headers", "x-app-version,x-build"),
    ("browsers.cookies", "also"),
    ("limits.store", "redis"),
    ("limits.redis_url", "rediss://:secret@cache.example"),
    ("limits.codes_burst", "6"),
    ("limits.codes_per_minute", "2"),
    ("limits.tries_burst", "21"),
    ("limits.tries_per_minute", "11"),
    ("limits.network_codes_burst", "26"),
    ("limits.network_codes_per_minute", "6"),
    ("limits.network_tries_burst", "101"),
    ("limits.network_tries_per_minute", "51"),
    ("limits.codes_per_prefix", "21"),
    ("limits.codes_per_mailbox", "21"),
    ("limits.codes_per_mail_domain", "101"),
    ("limits.mail_providers", "mail.example,post.example"),
    ("limits.countries", "IR,DE"),
    ("limits.messages_per_country.ir", "5"),
    ("limits.country_codes_per_minute", "101"),
    ("limits.country_codes_per_hour", "1001"),
    ("limits.service_codes_per_minute", "600"),
    ("limits.service_codes_per_hour", "3001"),
    ("limits.messages_per_day", "50000"),
    ("limits.money_per_day", "25.50"),
    ("limits.emails_per_day", "50001"),
    ("limits.reserve_percent", "21"),
    ("limits.writes_burst", "31"),
    ("limits.writes_per_minute", "31"),
    ("limits.address_writes_burst", "301"),
    ("limits.address_writes_per_minute", "301"),
    ("limits.wrong_codes_per_hour", "1001"),
    ("limits.conversion_from", "21"),
    ("limits.conversion_percent", "11"),
    ("privacy.erasure_register", "erasures.jsonl"),
    ("privacy.erasure_delay", "604800"),
    ("retention.never_signed_in", "172800"),
    ("retention.network_data", "8640000"),
    ("retention.history", "43200000"),
    ("transparency.origin", "auth.example/log"),
    ("transparency.public", "true"),
    (
        "transparency.witnesses",
        "[{ url = \"https://witness.example\", key = \"witness.example+c19e015f+BAnCwKEBVuiic/A6lVMlhd7vVaAYoAZFxBShjR4JCV1U\" }]",
    ),
    ("log.filter", "debug"),
    ("log.format", "text"),
];

/// Tables as a whole, of which the list above sets a part.
const WHOLE_TABLES: [(&str, &str); 4] = [
    ("delivery.phone_in", "{ DE = [\"hook\"] }"),
    ("delivery.prices", "{ default = 0.05 }"),
    ("tokens.claims", "{ Plan = 3 }"),
    ("limits.messages_per_country", "{ DE = 6 }"),
];

/// Settings that exclude one of those, or take effect in one profile or with other files only.
const OTHER_SETTINGS: [&str; 4] =
    ["keyring.command", "delivery.texts", "identifiers.allow_test_in_production", "limits.shared"];

#[test]
fn every_setting_can_be_set_by_the_environment_and_takes_effect() {
    for tried in EVERY_SETTING.iter().chain(&WHOLE_TABLES) {
        let part = format!("{}.", tried.0);
        let others = EVERY_SETTING.iter().filter(|(other, _)| *other != tried.0 && !other.starts_with(&part));
        let others: Vec<_> = others.copied().collect();
        let with = read_all(&[&others[..], &[*tried]].concat());
        let with = with.unwrap_or_else(|error| panic!("{}: {error}", tried.0));
        assert!(!with.contains("secret"), "{} shows a secret", tried.0);
        assert!(read_all(&others).ok() != Some(with), "{} has no effect", tried.0);
    }
}

#[test]
fn no_setting_is_left_out_of_the_test_of_the_environment() {
    let sections: [(&str, &[&str]); 18] = [
        ("server", fields_of::<crate::settings::server::RawServer>()),
        ("database", fields_of::<crate::settings::database::RawDatabase>()),
        ("keyring", fields_of::<crate::settings::keyring::RawKeyring>()),
        ("memory", fields_of::<crate::settings::memory::RawMemory>()),
        ("delivery", fields_of::<crate::settings::delivery::RawDelivery>()),
        ("gateways", &["sms", "mail", "hook"]),
        ("identifiers", fields_of::<crate::settings::identifiers::RawIdentifiers>()),
        ("codes", fields_of::<crate::settings::codes::RawCodes>()),
        ("sessions", fields_of::<crate::settings::sessions::RawSessions>()),
        ("tokens", fields_of::<crate::settings::tokens::RawTokens>()),
        ("oauth", fields_of::<crate::settings::oauth::RawOauth>()),
        ("browsers", fields_of::<crate::settings::browsers::RawBrowsers>()),
        ("limits", fields_of::<crate::settings::limits::RawLimits>()),
        ("privacy", fields_of::<crate::settings::privacy::RawPrivacy>()),
        ("retention", fields_of::<crate::settings::retention::RawRetention>()),
        ("transparency", fields_of::<crate::settings::transparency::RawTransparency>()),
        ("log", fields_of::<crate::settings::log::RawLog>()),
        ("", &["profile"]),
    ];
    let mut names: Vec<&str> =
        sections.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
    names.push("profile");
    let mut known = fields_of::<crate::settings::raw::Raw>().to_vec();
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known, "every section is here");
    for (section, fields) in sections {
        for field in fields {
            let setting = if section.is_empty() { (*field).to_owned() } else { format!("{section}.{field}") };
            let tested = EVERY_SETTING.iter().map(|(tested, _)| *tested).chain(OTHER_SETTINGS);
            let part = format!("{setting}.");
            assert!(
                tested.into_iter().any(|tested| tested == setting || tested.starts_with(&part)),
                "{setting}"
            );
        }
    }
}

/// The names of the fields that a structure is read from.
fn fields_of<'de, T: serde::Deserialize<'de>>() -> &'static [&'static str] {
    struct Fields<'a>(&'a mut &'static [&'static str]);

    impl<'de> serde::Deserializer<'de> for Fields<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("is no structure"))
        }

        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    assert!(T::deserialize(Fields(&mut fields)).is_err());
    assert!(!fields.is_empty());
    fields
}
