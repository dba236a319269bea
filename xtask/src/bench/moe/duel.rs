//! Two sides in turn, round by round: ours, and the peer in each of its settings.

use super::bed::Bed;
use crate::bench::rows::{Row, Target, duels, median};
use crate::failure::Result;
use crate::process::check_interrupted;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Title {
    /// The model, or "kernels".
    pub(super) host: &'static str,
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) target: Option<Target>,
    pub(super) better: Better,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

impl Better {
    /// A number that grows with how good the value is.
    fn merit(self, value: f64) -> f64 {
        match self {
            Self::More => value,
            Self::Less => 1.0 / value,
        }
    }
}

/// One way to run the peer, or us, and what it needed or reached.
pub(super) struct Side<'a> {
    pub(super) name: &'static str,
    pub(super) run: Box<dyn FnMut() -> Result<f64> + 'a>,
}

/// A setting of the peer that is worse than its best by more than this factor, at the better of two runs, is left out of
/// the rounds.
const HOPELESS: f64 = 1.5;

/// Rows: ours with its ratio to the peer's best setting, that setting, and the bandwidth meanwhile. Ours and the peer
/// take turns, who begins too.
///
/// # Errors
/// Of either side.
pub(super) fn duel(
    bed: &mut Bed<'_>,
    title: Title,
    ours: Side<'_>,
    peers: Vec<Side<'_>>,
) -> Result<Vec<Row>> {
    let Title { host, what, unit, target, better } = title;
    eprintln!("{host}: {what}");
    let mut ours = ours;
    // The round to warm up, which also says which settings of the peer are worth more rounds.
    (ours.run)()?;
    let mut tried = Vec::new();
    for mut peer in peers {
        check_interrupted()?;
        let merit = better.merit((peer.run)()?).max(better.merit((peer.run)()?));
        tried.push((merit, peer));
    }
    let best = tried.iter().map(|(merit, _)| *merit).fold(0.0, f64::max);
    let mut peers: Vec<Side<'_>> =
        tried.into_iter().filter(|(merit, _)| merit * HOPELESS >= best).map(|(_, peer)| peer).collect();

    let (mut own, mut bandwidth) = (Vec::new(), Vec::new());
    let mut theirs = vec![Vec::new(); peers.len()];
    for round in 0..bed.rounds {
        check_interrupted()?;
        bandwidth.push(bed.bandwidth()?);
        if round % 2 == 0 {
            own.push((ours.run)()?);
        }
        for (peer, values) in peers.iter_mut().zip(&mut theirs) {
            values.push((peer.run)()?);
        }
        if round % 2 == 1 {
            own.push((ours.run)()?);
        }
    }
    let merits = theirs.iter().map(|values| better.merit(median(&mut values.clone())));
    let Some((best, _)) = merits.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(Vec::new());
    };
    let base = &theirs[best];
    let row = |name, values: &[f64], target| Row::compared((host, what), name, unit, values, base, target);
    let rows = vec![
        row(ours.name, &own, target),
        row(peers[best].name, base, None),
        Row::alone((host, what), "memory bandwidth", "GB/s", &bandwidth),
    ];
    // The table comes at the end; a run may be broken off before.
    eprint!("  {}", duels(&rows));
    Ok(rows)
}
