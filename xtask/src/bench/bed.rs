//! The processes that subjects run in, and what they have used of the processor.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{At, Failure, Result};
use crate::process::Running;

/// Where the subjects of one comparison run.
pub(super) struct Bed {
    pub(super) running: Vec<Running>,
    pub(super) places: Vec<Place>,
}

/// One subject.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// Which of the bed's processes it runs in.
    pub(super) process: usize,
}

impl Bed {
    /// Processor time of all threads of the subject's process so far.
    pub(super) fn cpu(&mut self, subject: usize) -> Result<Duration> {
        let running = &mut self.running[self.places[subject].process];
        running.must_run()?;
        let tasks = PathBuf::from(format!("/proc/{}/task", running.id()));
        let mut total = 0;
        for task in fs::read_dir(&tasks).at("list", &tasks)? {
            let file = task.at("list", &tasks)?.path().join("schedstat");
            // A thread may have ended meanwhile.
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let time = text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
            total += time.ok_or_else(|| {
                Failure::new(format!("{} is not what it should be: {text}", file.display()))
            })?;
        }
        Ok(Duration::from_nanos(total))
    }

    pub(super) fn complaints(&self, subject: usize) -> Vec<String> {
        self.running[self.places[subject].process].tail.lines()
    }
}

pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: std::io::Result<Vec<_>> =
        (0..count).map(|_| std::net::TcpListener::bind(("127.0.0.1", 0))).collect();
    let ports = listeners.and_then(|all| all.iter().map(|one| Ok(one.local_addr()?.port())).collect());
    ports.map_err(|error| Failure::new(format!("there are no free ports on 127.0.0.1: {error}")))
}
