//! What people type, mangled at random: nothing makes a parser panic, and what it takes it takes in one spelling.
//!
//! For two seconds, or for `COUNTERFOIL_FUZZ_SECONDS`; `COUNTERFOIL_FUZZ_SEED` repeats a run.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; it reports its seed"
)]

use std::time::{Duration, Instant};

use counterfoil_domain::values::{EmailAddress, FullName, OtpCode, PhoneNumber, Region};

/// Right ones, wrong ones, and ones that other parsers have fallen over.
const SEEDS: [&str; 24] = [
    "+989121234567",
    "0912 123-4567",
    "٠٩١٢١٢٣٤٥٦٧",
    "tel:+98-912-123-4567",
    "+1 (201) 555-0123 ext. 9",
    "+44 7400 123456;ext=9",
    ".;phone-context=",
    "+dwPAA;phone-context=AA",
    "tel:7042;phone-context=example.com",
    "+390236618300",
    "+800 1234 5678",
    "1-800-FLOWERS",
    "\u{200e}+98\u{a0}912\u{202c}",
    "ada@example.com",
    "ada@bücher.example",
    "ada＠xn--bcher-kva.example",
    "\"a b\"@[127.0.0.1]",
    "ada+tag@sub.example.co",
    "ADA@İSTANBUL.example",
    "a@b.c\r\nBcc: eve@example.com",
    "012345",
    "۰۱۲۳۴۵",
    "１２３４５６",
    "1²3Ⅷ5\u{0}6",
];

/// Characters with a meaning in some format.
const ODD: &[char] = &[
    '+',
    '@',
    '.',
    ';',
    ':',
    '=',
    '-',
    '(',
    ')',
    '/',
    ' ',
    '0',
    '9',
    'x',
    'e',
    '"',
    '\\',
    '<',
    '[',
    ',',
    '%',
    '\0',
    '\n',
    '\u{85}',
    '\u{a0}',
    '\u{ad}',
    '\u{200b}',
    '\u{200e}',
    '\u{202e}',
    '\u{2060}',
    '\u{feff}',
    '\u{660}',
    '\u{6f9}',
    '\u{ff10}',
    '\u{ff0b}',
    '\u{ff20}',
    '\u{3002}',
    '\u{df}',
    '\u{130}',
    '\u{301}',
    '\u{1f642}',
    '\u{10ffff}',
];

fn mangled(random: &mut fastrand::Rng) -> String {
    let mut text: Vec<char> = SEEDS[random.usize(..SEEDS.len())].chars().collect();
    for _ in 0..random.usize(..8) {
        let at = random.usize(..=text.len());
        match random.u8(..6) {
            0 => text.insert(at, ODD[random.usize(..ODD.len())]),
            1 => text.insert(at, random.char(..)),
            2 if at < text.len() => drop(text.remove(at)),
            3 if at < text.len() => text[at] = ODD[random.usize(..ODD.len())],
            4 => {
                let other: Vec<char> = SEEDS[random.usize(..SEEDS.len())].chars().collect();
                text.truncate(at);
                text.extend(&other[random.usize(..other.len())..]);
            }
            _ => {
                let piece: Vec<char> = text[at..].to_vec();
                text.extend(piece.iter().cycle().take(piece.len() * random.usize(..20)));
            }
        }
    }
    text.into_iter().collect()
}

fn check(text: &str) {
    for region in [None, Region::parse("IR"), Region::parse("US")] {
        if let Ok(number) = PhoneNumber::parse(text, region) {
            assert_eq!(PhoneNumber::parse(number.as_str(), None), Ok(number.clone()), "{text:?}");
            let digits = number.as_str().strip_prefix('+').unwrap();
            assert!(digits.len() <= 15 && digits.bytes().all(|c| c.is_ascii_digit()), "{text:?}");
            assert!(number.as_str().starts_with(number.prefix()) && number.region().is_some(), "{text:?}");
        }
    }
    if let Ok(address) = EmailAddress::parse(text) {
        assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()), "{text:?}");
        let odd =
            |c: char| !c.is_ascii_graphic() || matches!(c, ',' | ';' | '"' | '<' | '>' | '\\' | '[' | ']');
        assert!(!address.as_str().contains(odd) && address.as_str().matches('@').count() == 1, "{text:?}");
    }
    if let Ok(code) = OtpCode::parse(text) {
        assert!(code.as_str().len() == 6 && code.as_str().bytes().all(|c| c.is_ascii_digit()), "{text:?}");
    }
    if let Ok(name) = FullName::parse(text) {
        assert_eq!(FullName::parse(name.as_str()), Ok(name.clone()), "{text:?}");
    }
}

#[test]
fn nothing_that_is_typed_makes_a_parser_panic() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("COUNTERFOIL_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("COUNTERFOIL_FUZZ_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let ends = Instant::now() + Duration::from_secs(number("COUNTERFOIL_FUZZ_SECONDS").unwrap_or(2));
    let mut tried = 0_u64;
    while Instant::now() < ends {
        let text = mangled(&mut random);
        if let Err(panic) = std::panic::catch_unwind(|| check(&text)) {
            println!("{text:?}");
            std::panic::resume_unwind(panic);
        }
        tried += 1;
    }
    println!("{tried} texts");
    assert!(tried > 100);
}
