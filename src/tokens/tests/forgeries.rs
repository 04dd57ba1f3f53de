//! What a holder of the seal key could put inside, and of what even a holder of the signing key could sign, is refused.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::seal::SealKeys;
use super::{InvalidToken, TokenKind, Tokens, issue, now, policy};
use crate::crypto::entropy;
use crate::crypto::keyring::{KeyPurpose, Keyring};

/// The order of Ed25519's group, least significant byte first (RFC 8032, section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

const CLAIMS: [&str; 10] = ["iss", "aud", "sub", "sid", "jti", "gen", "typ", "iat", "nbf", "exp"];
/// Those of an access token alone.
const OF_PROOF: [&str; 2] = ["auth_time", "amr"];
const NUMBERS: [&str; 5] = ["gen", "iat", "nbf", "exp", "auth_time"];

/// Has every key, and a token of one kind to start from.
struct Forger {
    kind: TokenKind,
    keyring: Keyring,
    header: String,
    claims: String,
}

impl Forger {
    fn new(kind: TokenKind) -> Self {
        let keyring = Keyring::generate();
        let issued = issue(&Tokens::new(&keyring, policy()));
        let token = match kind {
            TokenKind::Access => issued.access,
            TokenKind::Refresh => issued.refresh,
        };
        let jwt = SealKeys::new(&keyring).open(kind, &token).expect("ours");
        let jwt = String::from_utf8(jwt).expect("text");
        let parts: Vec<_> =
            jwt.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).expect("text");
        Self { kind, keyring, header: text(&parts[0]), claims: text(&parts[1]) }
    }

    fn other(&self) -> TokenKind {
        match self.kind {
            TokenKind::Access => TokenKind::Refresh,
            TokenKind::Refresh => TokenKind::Access,
        }
    }

    fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_pkcs8(self.keyring.active(KeyPurpose::SignAccess).secret()).expect("a key pair")
    }

    /// The real signature of a kind.
    fn signature_as(&self, kind: TokenKind, message: &str) -> Vec<u8> {
        match kind {
            TokenKind::Access => self.pair().sign(message.as_bytes()).as_ref().to_vec(),
            TokenKind::Refresh => mac(self.keyring.active(KeyPurpose::SignRefresh).secret(), message),
        }
    }

    /// A JWT of this header and these claims, really signed.
    fn signed(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let signature = self.signature_as(self.kind, &message);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The same header and claims, under another signature.
    fn signed_by(&self, header: &str, signature: impl FnOnce(&str) -> Vec<u8>) -> String {
        let message = message(header, &self.claims);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature(&message)))
    }

    fn opens(&self, jwt: &[u8]) -> [bool; 2] {
        let token = SealKeys::new(&self.keyring).seal(self.kind, jwt);
        let tokens = Tokens::new(&self.keyring, policy());
        let opened = [tokens.open(self.kind, &token, now()), tokens.open_expired(self.kind, &token, now())];
        opened.map(|result| result.map_err(|InvalidToken| ()).is_ok())
    }

    /// Headers that are wrong, whatever the claims and however well signed.
    fn headers(&self) -> Vec<(String, String)> {
        let mut forged = Vec::new();
        let field = |name: &str, value: &str| {
            (format!("header {name}: {value:.40}"), with(&self.header, name, value))
        };
        let own = field_of(&self.header, "alg");
        for algorithm in [
            "none", "None", "NONE", "HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384",
            "EdDSA", "eddsa", "hs256", "Ed25519", "dir", "",
        ] {
            let value = format!("{algorithm:?}");
            if value != own {
                forged.push(field("alg", &value));
            }
        }
        let other_typ = format!("{:?}", self.other().header_type());
        for typ in ["\"JWT\"", "\"AT+JWT\"", "\"application/at+jwt\"", "\"access\"", "\"\"", &other_typ] {
            forged.push(field("typ", typ));
        }
        let other_kid = match self.kind {
            TokenKind::Access => self.keyring.active(KeyPurpose::SignRefresh),
            TokenKind::Refresh => self.keyring.active(KeyPurpose::SignAccess),
        };
        let seal_kid = self.keyring.active(match self.kind {
            TokenKind::Access => KeyPurpose::SealAccess,
            TokenKind::Refresh => KeyPurpose::SealRefresh,
        });
        let (other_kid, seal_kid) =
            (format!("{:?}", other_kid.id.as_str()), format!("{:?}", seal_kid.id.as_str()));
        let long = format!("{:?}", "a".repeat(1_500));
        for kid in [
            "\"00000000\"",
            "\"\"",
            "\"../../etc/passwd\"",
            "\"' OR 1=1--\"",
            "\"\\u0000\"",
            "\"*\"",
            &other_kid,
            &seal_kid,
            &long,
        ] {
            forged.push(field("kid", kid));
        }
        for name in ["alg", "typ", "kid"] {
            for value in ["null", "1", "true", "[]", "{}", &format!("[{}]", field_of(&self.header, name))] {
                forged.push(field(name, value));
            }
            forged.push((format!("header without {name}"), without(&self.header, name)));
            forged.push((format!("header with {name} twice"), twice(&self.header, name)));
        }
        for extra in [
            r#""jku":"https://example.com/keys""#,
            r#""jwk":{"kty":"oct","k":"AA"}"#,
            r#""jwk":null"#,
            r#""x5u":"https://example.com/cert""#,
            r#""x5c":["AA"]"#,
            r#""x5t":"AA""#,
            r#""x5t#S256":"AA""#,
            r#""crit":["b64"],"b64":false"#,
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""b64":false"#,
            r#""zip":"DEF""#,
            r#""cty":"JWT""#,
            r#""cty":null"#,
            r#""enc":"A256GCM""#,
            r#""nonce":"1""#,
        ] {
            forged.push((format!("header with {extra}"), plus(&self.header, extra)));
        }
        forged.extend(spellings("header", &self.header));
        forged
    }

    /// Claims that are wrong, however well signed.
    fn claims(&self) -> Vec<(String, String)> {
        let mut forged = Vec::new();
        let field =
            |name: &str, value: &str| (format!("claim {name}: {value:.40}"), with(&self.claims, name, value));
        let of_proof = OF_PROOF.iter().filter(|_| self.kind == TokenKind::Access);
        let names: Vec<&str> = CLAIMS.iter().chain(of_proof).copied().collect();
        for name in &names {
            let name = *name;
            let own = field_of(&self.claims, name);
            for value in ["null", "true", "[]", "{}", "\"\"", "-1", "1.5", &format!("[{own}]")] {
                forged.push(field(name, value));
            }
            // A text for a number, a number for a text.
            let other = if NUMBERS.contains(&name) { format!("\"{own}\"") } else { "1795000000".to_owned() };
            forged.push(field(name, &other));
            forged.push((format!("without {name}"), without(&self.claims, name)));
            forged.push((format!("{name} twice"), twice(&self.claims, name)));
        }
        for name in NUMBERS.into_iter().filter(|name| names.contains(name)) {
            let own = field_of(&self.claims, name);
            for value in [
                &format!("{own}.0"),
                &format!("{own}e0"),
                &format!("0{own}"),
                &format!("+{own}"),
                "1e3",
                "1e9",
                "1e300",
                "1e999",
                "-0",
                "4294967296",
                "9223372036854775808",
                "18446744073709551616",
                "NaN",
                "Infinity",
                "0x7fffffff",
            ] {
                forged.push(field(name, value));
            }
        }
        for name in ["iss", "aud"] {
            for value in [
                "\"other\"",
                "\"Counterfoil\"",
                "\"counterfoil \"",
                "\"counterfoi\"",
                "\"counter\\u0066oil\"",
            ] {
                forged.push(field(name, value));
            }
        }
        for name in ["sub", "sid"] {
            let own = field_of(&self.claims, name).replace('"', "");
            for value in [
                own.to_uppercase(),
                own.replace('-', ""),
                format!("{{{own}}}"),
                format!("urn:uuid:{own}"),
                format!(" {own}"),
                format!("{own}0"),
                own[1..].to_owned(),
                own.replacen('0', "g", 1),
                "1".to_owned(),
            ] {
                forged.push(field(name, &format!("{value:?}")));
            }
        }
        let another = entropy::session_id(now()).to_string();
        let of_another = with(&self.claims, "sid", &format!("{another:?}"));
        forged.push(("sid of another session than jti".to_owned(), of_another));
        let jti = field_of(&self.claims, "jti").replace('"', "");
        for value in [
            jti.replace(".7.", ".8."),
            jti.replace(".7.", ".07."),
            jti.replace(".7.", ".."),
            jti.to_uppercase(),
            jti.replace(self.kind.claim_type(), self.other().claim_type()),
            format!("{jti}."),
            "1".to_owned(),
        ] {
            forged.push(field("jti", &format!("{value:?}")));
        }
        // The generation and the jti that goes with it.
        for generation in ["0", "-7", "4294967296", "7.0"] {
            let jti = format!("{:?}", jti.replace(".7.", &format!(".{generation}.")));
            let claims = with(&with(&self.claims, "gen", generation), "jti", &jti);
            forged.push((format!("gen {generation} with its jti"), claims));
        }
        for value in [self.other().claim_type(), "Access", "id", "at+jwt"] {
            forged.push(field("typ", &format!("{value:?}")));
        }
        for (name, value) in [
            ("exp", "1794999999"),
            ("exp", "0"),
            ("nbf", "1794999999"),
            ("nbf", "1795000001"),
            ("nbf", "0"),
            ("iat", "0"),
        ] {
            forged.push(field(name, value));
        }
        let proofs = [
            ("auth_time", "1795000001"),
            ("amr", r#"["otp","sms","otp"]"#),
            ("amr", r#"["sms","otp"]"#),
            ("amr", r#"["otp", "sms"]"#),
            ("amr", r#"["pwd"]"#),
            ("amr", r#""otp""#),
            ("amr", r#"{"otp":null}"#),
        ];
        forged.extend(
            proofs.iter().filter(|_| self.kind == TokenKind::Access).map(|(name, value)| field(name, value)),
        );
        // Extra claims that are no members, and a refresh token with any.
        for ext in ["null", "{}", "[]", "1", "\"x\"", "{ \"a\":1}", "{\"a\":}", "{"] {
            forged.push((format!("with ext {ext}"), plus(&self.claims, &format!("\"ext\":{ext}"))));
        }
        if self.kind == TokenKind::Refresh {
            forged.push(("with extra claims".to_owned(), plus(&self.claims, r#""ext":{"a":1}"#)));
            let (at, methods) = (r#""auth_time":1795000000"#, r#""amr":["otp","sms"]"#);
            for proof in [at, methods, &format!("{at},{methods}"), "\"auth_time\":null", "\"amr\":null"] {
                forged.push((format!("with {proof}"), plus(&self.claims, proof)));
            }
        }
        for extra in
            ["\"admin\":true", "\"scope\":\"admin\"", "\"cnf\":{\"jkt\":\"AA\"}", "\"\":null", "\"EXP\":1"]
        {
            forged.push((format!("with {extra}"), plus(&self.claims, extra)));
        }
        forged.extend(spellings("claims", &self.claims));
        forged
    }

    /// Signatures that are not the key's, and signed texts that are no compact JWS of three parts.
    fn shapes(&self) -> Vec<(String, Vec<u8>)> {
        let whole = self.signed(&self.header, &self.claims);
        let (message, signature) = whole.rsplit_once('.').expect("three parts");
        let (header, claims) = message.split_once('.').expect("three parts");
        let raw = self.signature_as(self.kind, message);
        let encoded = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
        let public = self.pair().public_key().as_ref().to_vec();
        let hs256 = with(&self.header, "alg", "\"HS256\"");
        let none = with(&self.header, "alg", "\"none\"");
        let elsewhere = |message: &str| Self::new(self.kind).signature_as(self.kind, message);
        let json = format!(r#"{{"protected":"{header}","payload":"{claims}","signature":"{signature}"}}"#);
        let mut flipped = raw.clone();
        flipped[0] ^= 1;
        let texts = [
            ("no signature", format!("{message}.")),
            ("no signature, alg none", format!("{}.", self::message(&none, &self.claims))),
            ("alg none, really signed", self.signed(&none, &self.claims)),
            ("HMAC with the public key", self.signed_by(&hs256, |m| mac(&public, m))),
            ("HMAC with the public key, in base64", {
                self.signed_by(&hs256, |m| mac(URL_SAFE_NO_PAD.encode(&public).as_bytes(), m))
            }),
            ("HMAC with no key", self.signed_by(&hs256, |m| mac(&[], m))),
            ("HMAC with the public key, own header", self.signed_by(&self.header, |m| mac(&public, m))),
            ("another key's signature", self.signed_by(&self.header, elsewhere)),
            ("the other kind's signature", {
                self.signed_by(&self.header, |m| self.signature_as(self.other(), m))
            }),
            ("the signature of other claims", {
                let other = self::message(&self.header, &with(&self.claims, "gen", "8"));
                self.signed_by(&self.header, |_| self.signature_as(self.kind, &other))
            }),
            ("the signature of the claims alone", {
                self.signed_by(&self.header, |_| self.signature_as(self.kind, claims))
            }),
            ("a flipped bit", encoded(&flipped)),
            ("zeros", encoded(&vec![0; raw.len()])),
            ("a byte short", encoded(&raw[..raw.len() - 1])),
            ("a byte long", encoded(&[raw.as_slice(), &[0]].concat())),
            ("half of it", encoded(&raw[..raw.len() / 2])),
            ("the signature twice", encoded(&[raw.as_slice(), &raw].concat())),
            ("the signature in hexadecimal", {
                format!("{message}.{}", raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }),
            ("the signature plus the order", encoded(&plus_order(&raw))),
            ("the signature, padded", format!("{message}.{signature}==")),
            ("the signature, its stray bits set", format!("{message}.{}", stray(signature))),
            ("the header, padded", format!("{header}=.{claims}.{signature}")),
            ("one part", header.to_owned()),
            ("two parts", message.to_owned()),
            ("two parts, without claims", format!("{header}.{signature}")),
            ("four parts", format!("{whole}.{signature}")),
            ("four parts, the first empty", format!(".{whole}")),
            ("four parts, the last empty", format!("{whole}.")),
            ("five parts", format!("{header}.AA.AA.{claims}.{signature}")),
            ("no header", format!(".{claims}.{signature}")),
            ("no claims", format!("{header}..{signature}")),
            ("nothing but dots", "..".to_owned()),
            ("nothing", String::new()),
            ("the claims alone", self.claims.clone()),
            ("the JSON form of a JWS", json),
            ("a space before", format!(" {whole}")),
            ("a line after", format!("{whole}\n")),
            ("a zero byte after", format!("{whole}\0")),
            ("rubbish after", format!("{whole}AAAA")),
            ("a space inside", format!("{header}. {claims}.{signature}")),
            ("the JWT twice", whole.repeat(2)),
            ("the other kind's JWT", {
                let other =
                    Self { kind: self.other(), keyring: self.keyring.clone(), ..Self::new(self.other()) };
                let kid = match other.kind {
                    TokenKind::Access => self.keyring.active(KeyPurpose::SignAccess),
                    TokenKind::Refresh => self.keyring.active(KeyPurpose::SignRefresh),
                };
                other.signed(&with(&other.header, "kid", &format!("{:?}", kid.id.as_str())), &other.claims)
            }),
        ];
        let mut shapes: Vec<_> =
            texts.map(|(name, text)| (name.to_owned(), text.into_bytes())).into_iter().collect();
        // Parts whose stray bits, padding or alphabet differ, and that are signed as they stand.
        for (name, header, claims) in [
            ("claims, padded and signed", header.to_owned(), format!("{claims}=")),
            ("header, padded and signed", format!("{header}="), claims.to_owned()),
            ("claims, a line inside and signed", header.to_owned(), format!("{claims}\n")),
            ("claims, not in base64 and signed", header.to_owned(), self.claims.clone()),
            ("claims, empty and signed", header.to_owned(), String::new()),
            ("claims, stray bits and signed", header.to_owned(), stray_of(&self.claims)),
        ] {
            let message = format!("{header}.{claims}");
            let signature = URL_SAFE_NO_PAD.encode(self.signature_as(self.kind, &message));
            shapes.push((name.to_owned(), format!("{message}.{signature}").into_bytes()));
        }
        let mut not_text = whole.clone().into_bytes();
        not_text.push(0xff);
        shapes.push(("no text".to_owned(), not_text));
        shapes
    }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// Where a field of a flat object and its value stand.
fn place(object: &str, name: &str) -> (usize, usize, usize) {
    let start = object.find(&format!("\"{name}\":")).expect("the field is there");
    let value = start + name.len() + 3;
    let rest = &object[value..];
    let length =
        if rest.starts_with('[') { rest.find(']').map(|end| end + 1) } else { rest.find([',', '}']) };
    let end = value + length.expect("the value ends");
    (start, value, end)
}

fn field_of(object: &str, name: &str) -> String {
    let (_, value, end) = place(object, name);
    object[value..end].to_owned()
}

fn with(object: &str, name: &str, value: &str) -> String {
    let (_, start, end) = place(object, name);
    format!("{}{value}{}", &object[..start], &object[end..])
}

fn without(object: &str, name: &str) -> String {
    let (start, _, end) = place(object, name);
    let rest = object[end..].strip_prefix(',').unwrap_or(&object[end..]);
    format!("{}{rest}", &object[..start]).replace(",}", "}")
}

fn plus(object: &str, field: &str) -> String {
    object.replacen('}', &format!(",{field}}}"), 1)
}

fn twice(object: &str, name: &str) -> String {
    let (start, _, end) = place(object, name);
    plus(object, &object[start..end])
}

/// The fields of an object, whose values may be lists of texts.
fn fields_of(object: &str) -> Vec<&str> {
    let mut depth = 0;
    let at_comma = |letter: char| {
        depth += match letter {
            '[' => 1,
            ']' => -1,
            _ => 0,
        };
        letter == ',' && depth == 0
    };
    object[1..object.len() - 1].split(at_comma).collect()
}

/// The same or nearly the same said otherwise, or nothing that is an object.
fn spellings(what: &str, object: &str) -> Vec<(String, String)> {
    let mut fields = fields_of(object);
    let values = fields.iter().map(|field| field.split_once(':').expect("a field has a value").1);
    let values: Vec<&str> = values.collect();
    fields.reverse();
    [
        ("with a space after a colon", object.replacen(':', ": ", 1)),
        ("with a space before", format!(" {object}")),
        ("with a line after", format!("{object}\n")),
        ("with a tab inside", object.replacen(',', ",\t", 1)),
        ("with an escaped letter", object.replacen("\"typ\"", "\"t\\u0079p\"", 1)),
        ("in another order", format!("{{{}}}", fields.join(","))),
        ("as an array", format!("[{}]", values.join(","))),
        ("as a text", format!("{object:?}")),
        ("in an array", format!("[{object}]")),
        ("in capitals", object.to_uppercase()),
        ("with rubbish after", format!("{object}x")),
        ("twice", object.repeat(2)),
        ("cut short", object[..object.len() - 1].to_owned()),
        ("with a comma at the end", object.replacen('}', ",}", 1)),
        ("with a comment", object.replacen('{', "{/**/", 1)),
        ("with a byte order mark", format!("\u{feff}{object}")),
        ("empty", "{}".to_owned()),
        ("null", "null".to_owned()),
        ("a number", "1".to_owned()),
        ("nested beyond measure", "[".repeat(1_000)),
        ("no JSON", "x".to_owned()),
    ]
    .map(|(how, text)| (format!("{what} {how}"), text))
    .into()
}

/// The same bytes, with the last letter's unused bits set.
fn stray(encoded: &str) -> String {
    assert_ne!(encoded.len() % 4, 0, "there are unused bits");
    let last = URL_SAFE_NO_PAD.encode([0xff; 3]).chars().next().expect("a letter");
    format!("{}{last}", &encoded[..encoded.len() - 1])
}

/// A text in base64url with unused bits set, of a length that has such.
fn stray_of(text: &str) -> String {
    let padded = format!("{text}{}", " ".repeat(usize::from(text.len().is_multiple_of(3))));
    stray(&URL_SAFE_NO_PAD.encode(padded))
}

/// The second half, a number, plus the group's order: the same signature to a verifier that reduces it first.
fn plus_order(signature: &[u8]) -> Vec<u8> {
    let mut sum = signature.to_vec();
    let half = sum.len() / 2;
    let mut carry = 0;
    for (byte, order) in sum[half..].iter_mut().zip(ORDER) {
        let [low, high] = (u16::from(*byte) + u16::from(order) + carry).to_le_bytes();
        (*byte, carry) = (low, u16::from(high));
    }
    sum
}

#[test]
fn what_is_sealed_but_not_as_we_make_it_is_refused() {
    let mut accepted = Vec::new();
    for kind in TokenKind::ALL {
        let forger = Forger::new(kind);
        assert_eq!(forger.opens(forger.signed(&forger.header, &forger.claims).as_bytes()), [true; 2]);

        let headers = forger.headers().into_iter().map(|(name, header)| {
            assert_ne!(header, forger.header, "{name}");
            (name, forger.signed(&header, &forger.claims).into_bytes())
        });
        let claims = forger.claims().into_iter().map(|(name, claims)| {
            assert_ne!(claims, forger.claims, "{name}");
            (name, forger.signed(&forger.header, &claims).into_bytes())
        });
        let forgeries: Vec<_> = headers.chain(claims).chain(forger.shapes()).collect();
        assert!(forgeries.len() > 300, "only {}", forgeries.len());
        let opened = forgeries.iter().filter(|(_, jwt)| forger.opens(jwt) != [false; 2]);
        accepted.extend(opened.map(|(name, _)| format!("{kind:?}: {name}")));
    }
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
}
