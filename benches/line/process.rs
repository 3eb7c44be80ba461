//! What the system knows about processes, and the cores they may use. Linux only: elsewhere the
//! figures are `None`, which the report shows as "n/a".

use std::fs;
use std::process::{Command, Stdio};

use crate::Result;

/// `USER_HZ`, the unit of the CPU times in `/proc`: 100 a second on every Linux that Rust runs on,
/// whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in KiB, summed over the processes of a group.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

/// The memory of all processes in the group that `leader` leads.
pub(crate) fn memory(leader: u32) -> Option<Memory> {
    let mut sum = Memory::default();
    for process in group(leader)? {
        // Gone between the listing and now.
        let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else {
            continue;
        };
        sum.resident += kib(&status, "VmRSS:");
        sum.anonymous += kib(&status, "RssAnon:");
        sum.peak += kib(&status, "VmHWM:");
    }
    Some(sum)
}

fn kib(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The CPU time, user and system, of all processes in the group that `leader` leads.
pub(crate) fn cpu_seconds(leader: u32) -> Option<f64> {
    let stats = group(leader)?.into_iter().filter_map(Stat::of);
    Some(stats.map(|stat| stat.cpu_seconds).sum())
}

/// The CPU time of this process.
pub(crate) fn own_cpu_seconds() -> Option<f64> {
    Stat::of(std::process::id()).map(|stat| stat.cpu_seconds)
}

fn group(leader: u32) -> Option<Vec<u32>> {
    let entries = fs::read_dir("/proc").ok()?;
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let members: Vec<u32> = processes
        .filter(|&process| Stat::of(process).is_some_and(|stat| stat.group == leader))
        .collect();
    (!members.is_empty()).then_some(members)
}

/// What is wanted of `/proc/PID/stat`.
struct Stat {
    group: u32,
    cpu_seconds: f64,
}

impl Stat {
    fn of(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may itself hold spaces and parentheses; the fields after it
        // begin with the state, which proc(5) counts as the third.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            group: fields.get(5 - 3)?.parse().ok()?,
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        })
    }
}

/// The cores that this process may use.
pub(crate) fn allowed_cores() -> Vec<u32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.unwrap_or_default().trim().split(',');
    ranges
        .filter_map(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            Some(low.parse().ok()?..=high.parse().ok()?)
        })
        .flatten()
        .collect()
}

/// Confines all threads of this process to `cores`; what they start from then on inherits it.
///
/// `taskset` does it because the system call is out of reach without unsafe code.
pub(crate) fn pin(cores: &[u32]) -> Result<String> {
    if cores.is_empty() {
        return Err("no list of cores on this system".into());
    }
    let list = cores.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let output = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &list, &std::process::id().to_string()])
        .output()
        .map_err(|why| format!("taskset: {why}"))?;
    if output.status.success() {
        Ok(list)
    } else {
        Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

/// Kills all processes of the group that `leader` leads, at once.
pub(crate) fn kill_group(leader: u32) {
    let mut command = if cfg!(windows) {
        let mut command = Command::new("taskkill");
        command.args(["/F", "/T", "/PID", &leader.to_string()]);
        command
    } else {
        let mut command = Command::new("kill");
        command.args(["-KILL", "--", &format!("-{leader}")]);
        command
    };
    // Most often there is nothing left to kill.
    drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
}
