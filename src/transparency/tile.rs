//! The names of tiles (C2SP `tlog-tiles`).

use std::fmt;

/// How many hashes a whole tile has.
pub const TILE_WIDTH: u16 = 256;

/// A tile, or the beginning of one: `<level>/<index>[.p/<width>]`, as in `0/x001/x234/067.p/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    /// The level: at 0 the hashes are leaves, at each level above of 256 hashes of the one below.
    pub level: u8,
    /// Which tile of the level it is, from 0.
    pub index: i64,
    /// How many hashes are meant, 1 to 256.
    pub width: u16,
}

impl TilePath {
    /// Parses the level and the rest of the path; `None` where it is no name of a tile.
    pub fn parse(level: &str, rest: &str) -> Option<Self> {
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, number(width).filter(|width| (1..256).contains(width))?),
            None => (rest, TILE_WIDTH.into()),
        };
        let mut digits = String::new();
        for part in index.split('/') {
            digits.push_str(part.strip_prefix('x').unwrap_or(part));
        }
        let path = Self {
            level: number(level).filter(|level| *level < 8)?.try_into().ok()?,
            index: digits.parse().ok().filter(|index| *index >= 0)?,
            width: width.try_into().ok()?,
        };
        // A tile has one name.
        (path.to_string() == format!("{level}/{rest}")).then_some(path)
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![format!("{:03}", self.index % 1_000)];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            parts.push(format!("x{:03}", rest % 1_000));
            rest /= 1_000;
        }
        parts.reverse();
        write!(f, "{}/{}", self.level, parts.join("/"))?;
        if self.width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::TilePath;

    #[test]
    fn a_tile_has_one_name() {
        for (level, rest, tile) in [
            ("0", "000", TilePath { level: 0, index: 0, width: 256 }),
            ("1", "x001/x234/067", TilePath { level: 1, index: 1_234_067, width: 256 }),
            ("7", "x001/000.p/255", TilePath { level: 7, index: 1_000, width: 255 }),
        ] {
            assert_eq!(TilePath::parse(level, rest), Some(tile));
        }
        for (level, rest) in [
            ("8", "000"),
            ("00", "000"),
            ("0", "0"),
            ("0", "x000/001"),
            ("0", "001/x001"),
            ("0", "x001/1"),
            ("0", "000.p/0"),
            ("0", "000.p/256"),
            ("0", "000.p/08"),
            ("0", "-01"),
            ("0", "+01"),
            ("0", "x999/x999/x999/x999/x999/x999/x999/999"),
            ("", ""),
        ] {
            assert_eq!(TilePath::parse(level, rest), None, "{level}/{rest}");
        }
    }
}
