//! Launches that are captured once and launched as a whole.

use std::ptr::null_mut;

use cudarc::driver::sys;

use super::{Gpu, status::ok};
use crate::Error;

/// Graphs that are kept. Each takes some hundred kilobytes.
const MOST_GRAPHS: usize = 256;

/// A captured sequence of launches.
#[derive(Debug)]
pub struct Graph<'g> {
    executable: sys::CUgraphExec,
    gpu: &'g Gpu,
}

impl Gpu {
    /// Captures what `launches` launches.
    ///
    /// # Errors
    /// What the driver or `launches` says.
    pub fn capture(&self, launches: impl FnOnce() -> Result<(), Error>) -> Result<Graph<'_>, Error> {
        Ok(Graph { executable: self.executable(launches)?, gpu: self })
    }

    fn executable(&self, launches: impl FnOnce() -> Result<(), Error>) -> Result<sys::CUgraphExec, Error> {
        // Loading kernels is nothing that can be captured.
        self.prepare()?;
        let mut graph = null_mut();
        let mut executable = null_mut();
        // SAFETY: the stream lives; capture is ended whatever happens inside.
        unsafe {
            let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
            ok("beginning a capture", sys::cuStreamBeginCapture_v2(self.stream, mode))?;
            let launched = launches();
            let ended = sys::cuStreamEndCapture(self.stream, &raw mut graph);
            launched?;
            ok("ending a capture", ended)?;
            let made = sys::cuGraphInstantiateWithFlags(&raw mut executable, graph, 0);
            sys::cuGraphDestroy(graph);
            ok("making a graph", made)?;
        }
        Ok(executable)
    }

    /// How long each of `count` runs of `work` took, in milliseconds, by the GPU's events.
    ///
    /// # Errors
    /// What the driver or `work` says.
    pub fn time(&self, count: usize, mut work: impl FnMut() -> Result<(), Error>) -> Result<Vec<f32>, Error> {
        let mut events = [null_mut(); 2];
        let mut times = Vec::with_capacity(count);
        // SAFETY: events and stream live; each is recorded before it is asked.
        unsafe {
            for event in &mut events {
                ok("making an event", sys::cuEventCreate(event, 0))?;
            }
            for _ in 0..count {
                ok("recording an event", sys::cuEventRecord(events[0], self.stream))?;
                work()?;
                ok("recording an event", sys::cuEventRecord(events[1], self.stream))?;
                ok("waiting for the GPU", sys::cuEventSynchronize(events[1]))?;
                let mut time = 0.0;
                ok("reading a time", sys::cuEventElapsedTime(&raw mut time, events[0], events[1]))?;
                times.push(time);
            }
            for event in events {
                sys::cuEventDestroy_v2(event);
            }
        }
        Ok(times)
    }

    /// The graph of that key. What is launched the first time is launched plainly: it may load kernels, which cannot be captured, and
    /// may never come again.
    pub(super) fn launch_kept(
        &self,
        key: u64,
        launches: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let seen = self.graphs.borrow().get(&key).copied();
        let executable = match seen {
            None => {
                if self.graphs.borrow().len() >= MOST_GRAPHS {
                    self.forget_graphs();
                }
                self.graphs.borrow_mut().insert(key, None);
                return launches();
            }
            Some(None) => {
                let made = self.executable(launches)?;
                self.graphs.borrow_mut().insert(key, Some(made));
                made
            }
            Some(Some(kept)) => kept,
        };
        // SAFETY: graph and stream live.
        ok("launching a graph", unsafe { sys::cuGraphLaunch(executable, self.stream) })
    }

    pub(super) fn forget_graphs(&self) {
        for executable in self.graphs.borrow_mut().drain().filter_map(|(_, graph)| graph) {
            // SAFETY: made here, and destroyed once; one that still runs is destroyed when it has ended.
            unsafe {
                sys::cuGraphExecDestroy(executable);
            }
        }
    }
}

impl Graph<'_> {
    /// # Errors
    /// What the driver says.
    pub fn launch(&self) -> Result<(), Error> {
        // SAFETY: graph and stream live.
        ok("launching a graph", unsafe { sys::cuGraphLaunch(self.executable, self.gpu.stream) })
    }
}

impl Drop for Graph<'_> {
    fn drop(&mut self) {
        // SAFETY: made by this GPU, and destroyed once.
        unsafe {
            sys::cuGraphExecDestroy(self.executable);
        }
    }
}
