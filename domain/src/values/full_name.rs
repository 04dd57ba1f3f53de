//! What a person wants to be called.

use super::text::line_of_text;

line_of_text! {
    /// A person's name as the person writes it: 1 to 100 characters, any script.
    FullName, 100, "Ada Lovelace"
}

#[cfg(test)]
mod tests {
    use super::FullName;
    use crate::values::InvalidText;

    #[test]
    fn a_name_keeps_its_script_and_its_emoji() {
        for name in ["Ada Lovelace", "آدا لاولیس", "Ada 🌙", "O’Neil-Smith"] {
            assert_eq!(FullName::parse(name).map(|n| n.as_str().to_owned()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn a_name_is_trimmed_and_normalised() {
        assert_eq!(FullName::parse(&(" ".repeat(5_000) + "Ada")).expect("valid").as_str(), "Ada");
        assert_eq!(FullName::parse("می\u{200c}نا").expect("valid").as_str(), "می\u{200c}نا");
        assert_eq!(FullName::parse("  Ame\u{0301}lie ").expect("valid").as_str(), "Amélie");
    }

    #[test]
    fn a_name_of_nothing_of_too_much_or_of_controls_is_refused() {
        for name in [
            "",
            " \t ",
            "\u{200b}",
            "\u{2060}\u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{e0001}",
            "\u{ffff}",
            "\u{e000}",
        ] {
            assert_eq!(FullName::parse(name), Err(InvalidText::Empty), "{name:?}");
        }
        assert_eq!(FullName::parse(&"x".repeat(101)), Err(InvalidText::TooLong(100)));
        assert_eq!(FullName::parse(&"x".repeat(100_000)), Err(InvalidText::TooLong(100)));
        for name in ["a\u{0}b", "a\nb", "a\u{202E}b", "a\u{2028}b", "a\u{1b}[2Jb"] {
            assert_eq!(FullName::parse(name), Err(InvalidText::Unprintable), "{name:?}");
        }
    }
}
