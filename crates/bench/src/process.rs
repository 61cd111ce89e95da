//! Reads the CPU time and memory of a process from the kernel: proc(5).

use anyhow::{Context, Result};
use std::fs;
use std::ops::Sub;

/// Processes that are measured together.
pub(crate) struct Processes<'a>(pub(crate) &'a [u32]);

/// CPU time in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// User and system time of all threads, those that have ended too, in steps of a hundredth of a second.
    pub(crate) ticks: f64,
    /// Of the living threads, to the nanosecond, if the kernel provides it.
    pub(crate) scheduled: Option<f64>,
}

impl Cpu {
    /// As exactly as the kernel provides it.
    pub(crate) fn seconds(self) -> f64 {
        self.scheduled.unwrap_or(self.ticks)
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let scheduled = self.scheduled.zip(before.scheduled).map(|(now, then)| now - then);
        Self { ticks: self.ticks - before.ticks, scheduled }
    }
}

/// USER_HZ, which is 100 wherever Linux runs.
const TICKS: f64 = 100.0;

impl Processes<'_> {
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let mut cpu = Cpu { ticks: 0.0, scheduled: Some(0.0) };
        for pid in self.0 {
            cpu.ticks += ticks(*pid)?;
            cpu.scheduled = cpu.scheduled.zip(scheduled(*pid)).map(|(sum, one)| sum + one);
        }
        Ok(cpu)
    }

    /// Resident memory now and at most, in KiB.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let mut memory = (0, 0);
        for pid in self.0 {
            memory.0 += status(*pid, "VmRSS:")?;
            memory.1 += status(*pid, "VmHWM:")?;
        }
        Ok(memory)
    }
}

fn ticks(pid: u32) -> Result<f64> {
    let stat = read(pid, "stat")?;
    // The name stands in parentheses and may hold anything; utime and stime are the 14th and 15th field.
    let (_, fields) = stat.rsplit_once(')').context("a stat without a name")?;
    let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(times.sum::<Result<f64, _>>().context("times that are not numbers")? / TICKS)
}

fn scheduled(pid: u32) -> Option<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(nanoseconds / 1e9)
}

fn status(pid: u32, name: &str) -> Result<u64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name} {line}"))
}

fn read(pid: u32, file: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).with_context(|| format!("there is no process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_time_and_a_missing_one_has_none() {
        let own = [std::process::id()];
        let processes = Processes(&own);
        let (now, most) = processes.memory().unwrap();
        assert!(now > 0 && most >= now);
        let before = processes.cpu().unwrap();
        assert!((processes.cpu().unwrap() - before).ticks >= 0.0);
        assert!(Processes(&[u32::MAX]).cpu().is_err());
    }
}
