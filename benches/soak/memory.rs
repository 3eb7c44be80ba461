//! How much memory the process holds. Linux only: elsewhere nothing is known, and nothing checked.

use std::fs;

use crate::Result;

/// What counts as flat. Where an allocator comes to rest after faults varies by a MiB; three bytes
/// lost with each of a million calls are more than this.
const FLAT_KIB: u64 = 2048;

/// In a run shorter than this the buffers and connections are still coming to their size.
const LONG_RUN: usize = 200_000;

/// The parts of the run after which memory is looked at, in percent.
pub(crate) const LOOKS: [usize; 3] = [10, 50, 100];

/// Memory in KiB.
#[derive(Default)]
pub(crate) struct Memory {
    /// Resident at each of [`LOOKS`].
    pub(crate) resident: Vec<u64>,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn look(&mut self, process: u32) {
        let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { return };
        let kib = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.resident.extend(kib("VmRSS:"));
        self.peak = kib("VmHWM:").unwrap_or(0);
    }

    pub(crate) fn check_flat(&self, calls: usize) -> Result<()> {
        let Some((late, earlier)) = self.resident.split_last() else { return Ok(()) };
        let early = earlier.iter().max().unwrap_or(late);
        if calls >= LONG_RUN && *late > early + FLAT_KIB {
            return Err(format!("memory grew from {early} KiB to {late} KiB").into());
        }
        Ok(())
    }
}
