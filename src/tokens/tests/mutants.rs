//! A token that was changed anywhere, in any way, is refused.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use fastrand::Rng;

use super::super::MAX_TOKEN_BYTES;
use super::{InvalidToken, TokenKind, issue, now, two_nodes};

/// The text in which the sealed bytes stand after the third underscore.
fn parts(token: &str) -> (String, Vec<u8>) {
    let sealed_at = token.match_indices('_').nth(2).expect("three underscores").0 + 1;
    let sealed = URL_SAFE_NO_PAD.decode(&token[sealed_at..]).expect("base64url");
    (token[..sealed_at].to_owned(), sealed)
}

/// Each bit of the sealed bytes flipped, and the bytes cut, lengthened, moved and mixed with another token's.
fn of_the_bytes(token: &str, other: &str, rng: &mut Rng) -> Vec<String> {
    let ((head, sealed), (_, other)) = (parts(token), parts(other));
    let mut mutants = Vec::new();
    for bit in 0..sealed.len() * 8 {
        let mut mutant = sealed.clone();
        mutant[bit / 8] ^= 1 << (bit % 8);
        mutants.push(mutant);
    }
    for at in 0..sealed.len() {
        mutants.push(sealed[..at].to_vec());
        mutants.push(sealed[at + 1..].to_vec());
        mutants.push([&sealed[..at], &sealed[at + 1..]].concat());
        mutants.push([&sealed[..at], &[rng.u8(..)], &sealed[at..]].concat());
    }
    // The parts: nonce, authenticator, text.
    let (nonce, tag, text) = (&sealed[..24], &sealed[24..40], &sealed[40..]);
    let (other_nonce, other_tag, other_text) = (&other[..24], &other[24..40], &other[40..]);
    mutants.extend([
        [nonce, other_tag, text].concat(),
        [other_nonce, tag, text].concat(),
        [nonce, tag, other_text].concat(),
        [nonce, other_tag, other_text].concat(),
        [other_nonce, other_tag, text].concat(),
        [tag, nonce, text].concat(),
        [nonce, text, tag].concat(),
        [nonce, text].concat(),
        [nonce, tag].concat(),
        sealed.iter().rev().copied().collect(),
        sealed.repeat(2),
    ]);
    for _ in 0..200 {
        let (from, to) = (rng.usize(..sealed.len()), rng.usize(..sealed.len()));
        let mut mutant = sealed.clone();
        mutant.swap(from, to);
        mutants.push(mutant);
        let mut mutant = sealed.clone();
        rng.fill(&mut mutant[from.min(to)..=from.max(to)]);
        mutants.push(mutant);
    }
    mutants.retain(|mutant| *mutant != sealed);
    mutants.iter().map(|mutant| format!("{head}{}", URL_SAFE_NO_PAD.encode(mutant))).collect()
}

/// Each bit of the text flipped, where that leaves text, and the text cut, lengthened and moved.
fn of_the_text(token: &str, rng: &mut Rng) -> Vec<String> {
    let mut mutants = Vec::new();
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut mutant = token.as_bytes().to_vec();
            mutant[at] ^= 1 << bit;
            mutants.extend(String::from_utf8(mutant));
        }
        mutants.extend([token[..at].to_owned(), token[at + 1..].to_owned()]);
        mutants.push(format!("{}{}", &token[..at], &token[at + 1..]));
        let strange =
            rng.choice(['A', 'b', '0', '_', '-', '=', '+', '/', '.', '%', ' ', '\n', '\0', 'é', '🙂']);
        mutants.push(format!("{}{}{}", &token[..at], strange.unwrap_or('A'), &token[at..]));
    }
    mutants
}

/// The same bytes in other alphabets, and the parts before them changed.
fn of_the_form(token: &str, other_kind: &str) -> Vec<String> {
    let (head, sealed) = parts(token);
    let body = &token[head.len()..];
    let fields: Vec<&str> = head.split('_').collect();
    let [prefix, version, key_id] = fields[..3] else { panic!("three parts stand before the bytes") };
    let other_key_id = other_kind.split('_').nth(2).expect("a key id");
    let other_prefix = other_kind.split('_').next().expect("a prefix");
    let mut mutants: Vec<String> = vec![
        format!("{head}{}", STANDARD.encode(&sealed)),
        format!("{head}{}", STANDARD_NO_PAD.encode(&sealed)),
        format!("{head}{}=", URL_SAFE_NO_PAD.encode(&sealed)),
        format!("{head}{}==", URL_SAFE_NO_PAD.encode(&sealed)),
        format!("{head}{}", URL_SAFE.encode([sealed.as_slice(), &[0]].concat())),
        format!("{head}{}", sealed.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        format!("{head}{}\n{}", &body[..64], &body[64..]),
        format!("{head}{}", body.to_uppercase()),
        format!("{head}{}", body.replace('_', "/").replace('-', "+") + "="),
        token.to_uppercase(),
        token.replace('_', "-"),
        token.replacen('_', ".", 3),
        token.replacen('_', "__", 1),
        token.replace('_', "%5F"),
        format!("{prefix}_{body}"),
        format!("{prefix}_{version}_{body}"),
        format!("{version}_{prefix}_{key_id}_{body}"),
        format!("{prefix}_{key_id}_{version}_{body}"),
        format!("{body}_{prefix}_{version}_{key_id}"),
        format!("{token}_{body}"),
        format!("{head}{token}"),
        format!("Bearer {token}"),
        format!("\"{token}\""),
        format!("{token},{token}"),
        token.repeat(2),
    ];
    mutants.extend(
        ["", "cf", "cfx", "CFA", "CFR", "Cfa", "cfa ", " cfa", "cfaa", other_prefix]
            .map(|prefix| format!("{prefix}_{version}_{key_id}_{body}")),
    );
    mutants.extend(
        ["", "0", "2", "10", "01", "-1", "1.0", "v1", "1 ", " 1", "１", "١", "4294967297"]
            .map(|version| format!("{prefix}_{version}_{key_id}_{body}")),
    );
    let capitals = key_id.to_uppercase();
    let key_ids = ["", "0", "00000000", "../..", "' OR ''='", "null", "\0", other_key_id];
    mutants.extend(key_ids.map(|key_id| format!("{prefix}_{version}_{key_id}_{body}")));
    mutants.extend([
        format!("{prefix}_{version}_{key_id} _{body}"),
        format!("{prefix}_{version}_{key_id}{key_id}_{body}"),
        format!("{prefix}_{version}_{}_{body}", &key_id[1..]),
    ]);
    if capitals != key_id {
        mutants.push(format!("{prefix}_{version}_{capitals}_{body}"));
    }
    mutants.retain(|mutant| mutant != token);
    mutants
}

#[test]
fn every_mutant_of_a_token_is_refused() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    // One node made the token and knows it, the other has never seen it.
    let (maker, stranger) = two_nodes();
    let (first, second) = (issue(&maker), issue(&maker));
    for (kind, token, other, other_kind) in [
        (TokenKind::Access, &first.access, &second.access, &first.refresh),
        (TokenKind::Refresh, &first.refresh, &second.refresh, &first.access),
    ] {
        let mutants = [
            of_the_bytes(token, other, &mut rng),
            of_the_text(token, &mut rng),
            of_the_form(token, other_kind),
        ]
        .concat();
        assert!(mutants.len() >= 2_000, "only {}", mutants.len());
        for mutant in &mutants {
            assert_ne!(mutant, token);
            for tokens in [&maker, &stranger] {
                assert_eq!(tokens.open(kind, mutant, now()), Err(InvalidToken), "{mutant}");
                assert_eq!(tokens.open_expired(kind, mutant, now()), Err(InvalidToken), "{mutant}");
            }
        }
        for tokens in [&maker, &stranger] {
            assert!(tokens.open(kind, token, now()).is_ok());
        }
    }
}

/// Texts of all lengths, many of which look like tokens at their beginning.
fn of_nothing(token: &str, rng: &mut Rng) -> String {
    let (head, _) = parts(token);
    let start = rng.choice(["", "cfa_", "cfr_1_", "cfa_1_00000000_", &head]).unwrap_or_default().to_owned();
    let length = if rng.u8(..10) == 0 { rng.usize(..MAX_TOKEN_BYTES * 2) } else { rng.usize(..300) };
    let letters: Vec<char> = match rng.u8(..3) {
        0 => ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect(),
        1 => "_cfar10.".chars().collect(),
        _ => (0..64).map(|_| rng.char(..)).collect(),
    };
    start.chars().chain((0..length).map(|_| rng.choice(&letters).copied().unwrap_or('_'))).collect()
}

#[test]
fn no_text_at_random_is_a_token() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let (tokens, _) = two_nodes();
    let token = issue(&tokens).access;
    for _ in 0..5_000 {
        let text = of_nothing(&token, &mut rng);
        for kind in TokenKind::ALL {
            assert_eq!(tokens.open(kind, &text, now()), Err(InvalidToken), "{text}");
            assert_eq!(tokens.open_expired(kind, &text, now()), Err(InvalidToken), "{text}");
        }
    }
}
