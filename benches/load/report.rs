//! The figures, for people and for programs.

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::Table;

use super::client::LoadResult;

/// The figures so far.
#[derive(Default)]
pub struct BenchReport {
    lines: Vec<[String; 5]>,
    figures: BTreeMap<String, f64>,
}

impl BenchReport {
    /// Notes a measurement and what it is measured by.
    pub fn measured(&mut self, name: &str, measured: &LoadResult, ratio: Option<(&str, f64)>) {
        let ratio = ratio.map(|(key, ratio)| {
            self.figures.insert(key.to_owned(), ratio);
            format!("{ratio:.2}  {key}")
        });
        self.figures.insert(format!("{name}_per_second"), measured.per_second);
        let ms = |time: f64| if time.is_nan() { String::new() } else { format!("{time:.2}") };
        let line = [
            name.to_owned(),
            format!("{:.0}", measured.per_second),
            ms(measured.median_ms),
            ms(measured.p99_ms),
            ratio.unwrap_or_default(),
        ];
        println!("{}", line.join("  "));
        self.lines.push(line);
    }

    /// Notes a figure by itself.
    pub fn figure(&mut self, key: &str, value: f64) {
        println!("{key}  {value:.3}");
        self.figures.insert(key.to_owned(), value);
        self.lines.push([key.to_owned(), String::new(), String::new(), String::new(), format!("{value:.3}")]);
    }

    /// A figure that was noted.
    pub fn value(&self, key: &str) -> f64 {
        self.figures[key]
    }

    /// Prints the table, and writes the object where one is wanted.
    pub fn finish(&self, json: Option<&Path>) {
        let mut table = Table::new();
        table.set_header(["", "a second", "median ms", "p99 ms", "ratio"]);
        for line in &self.lines {
            table.add_row(line);
        }
        println!("{table}");
        if let Some(path) = json {
            std::fs::write(path, serde_json::to_string_pretty(&self.figures).unwrap()).unwrap();
        }
    }
}
