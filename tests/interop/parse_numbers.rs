//! Reads phone numbers as the service does: a line `REGION<tab>text` in, the number in E.164 form or `-` out.

use std::io::{self, BufRead as _, Write as _};

use counterfoil_domain::values::{PhoneNumber, Region};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (region, text) = line.split_once('\t').unwrap_or_default();
        match PhoneNumber::parse(text, Region::parse(region)) {
            Ok(number) => writeln!(out, "{}", number.as_str())?,
            Err(_) => writeln!(out, "-")?,
        }
    }
    out.flush()
}
