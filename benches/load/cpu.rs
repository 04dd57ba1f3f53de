//! How much processor time a process, and a PostgreSQL with all its backends, has used.

use std::fs;

/// Fields of `/proc/PID/stat` after the name, which can hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Seconds of user and system time, of the process and of the children it has waited for.
pub fn seconds(pid: u32) -> f64 {
    let fields = stat(pid).unwrap_or_default();
    let ticks: f64 = (11..15).filter_map(|field| fields.get(field)?.parse::<f64>().ok()).sum();
    // Linux counts in hundredths of a second wherever it counts for others to read.
    ticks / 100.0
}

/// The same of a postmaster and all its backends.
pub fn seconds_of_family(postmaster: u32) -> f64 {
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids.filter(|pid| stat(*pid).is_some_and(|stat| stat[1] == postmaster.to_string()));
    seconds(postmaster) + children.map(seconds).sum::<f64>()
}
