//! `retry` and `on_status_codes`: what follows an error. Rules have one account of it for the whole route.

use crate::import::draft::Draft;
use crate::import::source::Item;
use moegate_config::{Action, Failure, Problem};
use std::collections::BTreeMap;

/// What an origin's status is taken for.
const CLASSES: &[(Failure, &[u32])] = &[
    (Failure::RequestTimeout, &[408]),
    (Failure::Conflict, &[409]),
    (Failure::TooEarly, &[425]),
    (Failure::RateLimited, &[429]),
    (Failure::BadKey, &[401, 402, 403]),
    (Failure::ModelNotFound, &[404]),
    (Failure::ServerError, &[500, 502, 503, 504]),
];

/// Portkey's, where `retry` has no `on_status_codes`.
const RETRIED: &[u32] = &[429, 500, 502, 503, 504];

/// Calls of one request beyond which no budget goes.
const MOST_ATTEMPTS: u32 = 10;

#[derive(Default)]
pub(super) struct Failures {
    on: BTreeMap<Failure, Action>,
    /// Where the account of fallbacks stands.
    fallback: Option<String>,
    retry: Option<Retry>,
}

struct Retry {
    /// Of the object that has it.
    path: String,
    /// Calls after the first one.
    attempts: u32,
    /// Origins that it is about.
    leaves: u32,
}

/// Whether a list of statuses names the class; of 5xx there are more than the usual ones.
fn is_in(failure: Failure, statuses: &[u32], codes: &[u32]) -> bool {
    codes.iter().any(|code| statuses.contains(code) || failure == Failure::ServerError && *code >= 500)
}

impl Failures {
    /// # Errors
    /// A value of the wrong type.
    pub(super) fn falls_back(&mut self, draft: &mut Draft, codes: Option<Item<'_>>) -> Result<(), Problem> {
        let Some(item) = codes else { return Ok(()) };
        let codes = item.list()?.iter().map(Item::whole).collect::<Result<Vec<_>, _>>()?;
        if let Some(first) = &self.fallback {
            draft.missing(
                &item.path,
                format!("a route has one account of what follows an error: {first} stands for it"),
            );
            return Ok(());
        }
        for (failure, statuses) in CLASSES {
            let listed = statuses.iter().filter(|status| codes.contains(status)).count();
            if !is_in(*failure, statuses, &codes) {
                self.on.insert(*failure, Action::Stop);
            } else if 0 < listed && listed < statuses.len() {
                draft.differs(&item.path, format!("`on.{}` is about all of {statuses:?}", failure.name()));
            }
        }
        for code in &codes {
            if *code < 500 && !CLASSES.iter().any(|(_, statuses)| statuses.contains(code)) {
                draft.missing(&item.path, format!("{code}: a request that is itself at fault goes to no other origin; an error's words decide what it is about"));
            }
        }
        self.fallback = Some(item.path);
        Ok(())
    }

    /// # Errors
    /// A value of the wrong type.
    pub(super) fn retries(&mut self, draft: &mut Draft, item: &Item<'_>) -> Result<(), Problem> {
        let mut table = item.table()?;
        let path = item.path.rsplit_once('.').map_or("", |(path, _)| path);
        let attempts = table.take("attempts").map(|item| item.whole()).transpose()?.unwrap_or(0);
        let codes = match table.take("on_status_codes") {
            Some(item) => item.list()?.iter().map(Item::whole).collect::<Result<Vec<_>, _>>()?,
            None => RETRIED.to_vec(),
        };
        if let Some(item) = table.take("use_retry_after_header")
            && !item.flag()?
        {
            draft.differs(item.path, "`Retry-After` is always honoured, up to `budget.longest_wait_s`");
        }
        for item in table.rest() {
            draft.missing(item.path, "has no counterpart");
        }
        if self.retry.is_some() {
            draft.missing(
                &item.path,
                "a route has one account of what follows an error: the first `retry` stands for all",
            );
            return Ok(());
        }
        if attempts > 0 {
            for (failure, statuses) in CLASSES {
                // The same again would fail the same way there.
                let can = !matches!(failure, Failure::BadKey | Failure::ModelNotFound);
                if can && is_in(*failure, statuses, &codes) {
                    self.on.insert(*failure, Action::Retry);
                }
            }
            draft.differs(&item.path, "the same origin is asked once more after these errors, then the next one, in rounds; `budget.attempts` counts every call of a request");
        }
        self.retry = Some(Retry { path: path.to_owned(), attempts, leaves: 0 });
        Ok(())
    }

    /// The `retry` of the object at that path is about so many origins.
    pub(super) fn covers(&mut self, path: &str, leaves: usize) {
        if let Some(retry) = self.retry.as_mut().filter(|retry| retry.path == path) {
            retry.leaves = u32::try_from(leaves).unwrap_or(u32::MAX);
        }
    }

    /// The budget's attempts and the route's `on`.
    pub(super) fn finish(self, draft: &mut Draft, leaves: usize) -> (Option<u32>, BTreeMap<Failure, Action>) {
        let leaves = u32::try_from(leaves).unwrap_or(u32::MAX);
        let wanted = match &self.retry {
            Some(retry) => leaves.saturating_add(retry.attempts.saturating_mul(retry.leaves)),
            None => leaves,
        };
        if wanted > MOST_ATTEMPTS {
            draft.differs(
                "(top)",
                format!("{wanted} calls of one request could be made; {MOST_ATTEMPTS} are the most here"),
            );
        }
        // The default of three would never reach the last ones; fewer are as good as three.
        let attempts = (wanted > 3 || self.retry.is_some()).then(|| wanted.clamp(1, MOST_ATTEMPTS));
        (attempts, self.on)
    }
}
