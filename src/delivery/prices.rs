//! What messages cost, by where they go.

use std::collections::HashMap;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use counterfoil_domain::values::{Identifier, Region};

/// An amount of money, in millionths of one unit of a currency of the operator's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u64);

impl Price {
    /// Returns an amount of so many millionths.
    pub fn from_millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// Returns the amount in millionths.
    pub fn millionths(self) -> u64 {
        self.0
    }

    /// Reads a decimal number such as `0.004`: at most nine digits before the point, and six after it.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 9) || !digits(fraction, 6) {
            return None;
        }
        let millionths: u64 = format!("{fraction:0<6}").parse().ok()?;
        Some(Self(whole.parse::<u64>().ok()? * 1_000_000 + millionths))
    }
}

/// A decimal number, without zeros at its end.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, millionths) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let fraction = format!("{millionths:06}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            fraction => write!(f, "{whole}.{fraction}"),
        }
    }
}

/// Stops at the largest amount there is.
impl Add for Price {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Price {
    fn sum<I: Iterator<Item = Self>>(prices: I) -> Self {
        prices.fold(Self::default(), Add::add)
    }
}

/// What a message costs, by where it goes.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    pub(crate) text_message: Price,
    pub(crate) by_region: HashMap<Region, Price>,
    pub(crate) email: Price,
}

impl PriceList {
    /// Whether any is set.
    pub fn are_known(&self) -> bool {
        self.text_message.max(self.email) > Price::default() || !self.by_region.is_empty()
    }

    /// What a message to that identifier costs.
    pub fn of(&self, to: &Identifier) -> Price {
        match to {
            Identifier::Email(_) => self.email,
            Identifier::Phone(_) if self.by_region.is_empty() => self.text_message,
            Identifier::Phone(number) => {
                let priced = number.region().and_then(|region| self.by_region.get(&region));
                priced.copied().unwrap_or(self.text_message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Price;

    #[test]
    fn a_price_is_read_to_the_millionth_and_shown_as_it_was_written() {
        for (text, millionths) in
            [("0", 0), ("0.05", 50_000), ("1.000001", 1_000_001), ("999999999", 999_999_999_000_000)]
        {
            let price = Price::parse(text).expect(text);
            assert_eq!((price.millionths(), price.to_string().as_str()), (millionths, text));
        }
        for text in ["", ".", "-1", "+1", "1.", ".5", "1e3", "0.0000001", "1000000000", "NaN", "1,5"] {
            assert_eq!(Price::parse(text), None, "{text}");
        }
        let sum: Price = ["0.1", "0.2"].into_iter().filter_map(Price::parse).sum();
        assert_eq!(sum.to_string(), "0.3");
    }
}
