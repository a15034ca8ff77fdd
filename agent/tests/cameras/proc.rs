//! What /proc tells of processes.

use std::collections::HashSet;

/// A process, so that another one that got its number later is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) name: String,
    parent: u32,
    started: u64,
    /// In user and system mode, in clock ticks; children that ended and were waited for included.
    ticks: u64,
    own_ticks: u64,
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    // A zombie runs no more.
    if fields.first() == Some(&"Z") {
        return None;
    }
    let (ticks, own_ticks) = (
        (14..=17).filter_map(number).sum(),
        (14..=15).filter_map(number).sum(),
    );
    Some(Process {
        pid,
        name,
        parent: u32::try_from(number(4)?).ok()?,
        started: number(22)?,
        ticks,
        own_ticks,
    })
}

fn all() -> Vec<Process> {
    let dir = std::fs::read_dir("/proc").expect("/proc is there");
    dir.filter_map(|e| process(e.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// The children of `pid`, their children and so on.
pub(crate) fn descendants(pid: u32) -> Vec<Process> {
    let all = all();
    let mut family = HashSet::from([pid]);
    let mut found: Vec<Process> = Vec::new();
    while let Some(p) = all
        .iter()
        .find(|p| family.contains(&p.parent) && !family.contains(&p.pid))
    {
        family.insert(p.pid);
        found.push(p.clone());
    }
    found
}

pub(crate) fn lives(process_then: &Process) -> bool {
    process(process_then.pid).is_some_and(|now| now.started == process_then.started)
}

/// What `pid` and its family have computed so far, in seconds of one core. Children that have ended
/// count too, so the number never falls.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let own = process(pid).map_or(0, |p| p.ticks);
    let others: u64 = descendants(pid).iter().map(|p| p.ticks).sum();
    // Linux tells clock ticks to programs as hundredths of a second, whatever it uses itself.
    (own + others) as f64 / 100.0
}

/// The same of `pid` alone.
pub(crate) fn own_cpu_seconds(pid: u32) -> f64 {
    process(pid).map_or(0.0, |p| p.own_ticks as f64 / 100.0)
}

pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

pub(crate) fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Resident memory in MiB.
pub(crate) fn memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|n| n.parse::<f64>().ok())
        .unwrap_or_default()
        / 1024.0
}

/// The command lines of all processes, which every user can read.
pub(crate) fn command_lines() -> Vec<String> {
    let of = |p: &Process| std::fs::read(format!("/proc/{}/cmdline", p.pid)).ok();
    all()
        .iter()
        .filter_map(of)
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}
