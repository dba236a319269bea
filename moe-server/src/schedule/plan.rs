//! Which tokens the next step computes: a pure function, and the controller of its budget.
//!
//! Every sequence that decodes gets its one token in every step; prompts share a budget that [`Pace`] keeps small
//! enough for a step to stay short. So a long prompt slows the others' decodes, but never stalls them.

use std::time::Duration;

/// What one step may hold, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The engine's own limit for one step, over everything.
    pub step: usize,
    /// For prompts, while others decode.
    pub beside_decodes: usize,
    /// For prompts, while nothing decodes.
    pub alone: usize,
}

/// `tokens` of the sequence at `index` go into the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub index: usize,
    pub tokens: usize,
}

/// Shares out the next step. `remaining` says for each running sequence, in order of admission, how many of its
/// tokens the engine has not seen; exactly 1 is a decode (or a prompt's last token, which costs the same), and 0 has no
/// part in the step.
///
/// Prompts: the oldest gets at least half of the budget, so that it cannot starve; the rest goes to the ones that
/// need least, so that a short prompt does not wait for a long one; what they leave goes back to the oldest.
///
/// The result is in the order of `remaining`, has no empty shares, and is not empty if anything remains.
#[must_use]
pub fn plan(remaining: &[usize], budget: &Budget) -> Vec<Share> {
    let step = budget.step.max(1);
    let mut given = vec![0; remaining.len()];
    let mut decodes = 0;
    for (index, _) in remaining.iter().enumerate().filter(|&(_, &tokens)| tokens == 1).take(step) {
        given[index] = 1;
        decodes += 1;
    }
    let wish = if decodes > 0 { budget.beside_decodes } else { budget.alone };
    let mut left = wish.max(1).min(step - decodes);
    let mut prompts: Vec<usize> = (0..remaining.len()).filter(|&index| remaining[index] > 1).collect();
    if let Some(&oldest) = prompts.first() {
        let mut give = |index: usize, most: usize| {
            let tokens = most.min(left).min(remaining[index] - given[index]);
            given[index] += tokens;
            left -= tokens;
        };
        give(oldest, wish.max(1).div_ceil(2));
        prompts.remove(0);
        prompts.sort_by_key(|&index| remaining[index]);
        for index in prompts {
            give(index, usize::MAX);
        }
        give(oldest, usize::MAX);
    }
    let shares = given.into_iter().enumerate().map(|(index, tokens)| Share { index, tokens });
    shares.filter(|share| share.tokens > 0).collect()
}

/// Finds the number of prompt tokens for which a step takes about `target`, by watching how long steps take.
#[derive(Debug, Clone)]
pub struct Pace {
    target: Duration,
    most: usize,
    chunk: usize,
}

impl Pace {
    /// The least a prompt advances in one step, however slow that is.
    const LEAST: usize = 8;
    const START: usize = 32;

    #[must_use]
    pub fn new(target: Duration, most: usize) -> Self {
        let most = most.max(1);
        Self { target, most, chunk: Self::START.min(most) }
    }

    #[must_use]
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// A step with `tokens` prompt tokens under this pace took `elapsed`.
    pub fn observe(&mut self, tokens: usize, elapsed: Duration) {
        let ratio = self.target.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        if ratio < 1.0 {
            // Too slow: aim straight at the target, but halve at most, since one slow step may be chance.
            self.chunk = scale(tokens.min(self.chunk), ratio.max(0.5));
        } else if tokens >= self.chunk {
            // Fast enough with all of the budget in use: try more.
            self.chunk = scale(self.chunk, ratio.clamp(1.0, 1.5)).max(self.chunk);
        }
        self.chunk = self.chunk.clamp(Self::LEAST.min(self.most), self.most);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "token counts of one step times at most 1.5"
)]
fn scale(tokens: usize, factor: f64) -> usize {
    (tokens as f64 * factor).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { step: 100, beside_decodes: 16, alone: 64 };

    fn shares(remaining: &[usize], budget: &Budget) -> Vec<(usize, usize)> {
        plan(remaining, budget).into_iter().map(|share| (share.index, share.tokens)).collect()
    }

    #[test]
    fn shares_out_the_step() {
        type Case<'a> = (&'a str, &'a [usize], &'a [(usize, usize)]);
        let cases: &[Case<'_>] = &[
            ("nothing to do", &[], &[]),
            ("decodes only", &[1, 1, 1], &[(0, 1), (1, 1), (2, 1)]),
            ("a lone prompt has the larger budget", &[1000], &[(0, 64)]),
            ("a short prompt is done at once", &[7], &[(0, 7)]),
            ("beside decodes a prompt has the smaller one", &[1, 1000, 1], &[(0, 1), (1, 16), (2, 1)]),
            (
                "the oldest prompt keeps half, the shortest goes next",
                &[1000, 500, 20],
                &[(0, 32), (1, 12), (2, 20)],
            ),
            ("what the others leave goes back to the oldest", &[1000, 10], &[(0, 54), (1, 10)]),
            ("what the oldest leaves goes on", &[5, 1000], &[(0, 5), (1, 59)]),
        ];
        for (what, remaining, expected) in cases {
            assert_eq!(&shares(remaining, &BUDGET), expected, "{what}");
        }
    }

    #[test]
    fn holds_its_promises_for_any_state() {
        let mut random = 7u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((random >> 33) % below).unwrap()
        };
        for _ in 0..5_000 {
            let remaining: Vec<usize> =
                (0..next(9)).map(|_| if next(2) == 0 { 1 } else { next(300) + 1 }).collect();
            let budget = Budget { step: next(64), beside_decodes: next(32), alone: next(128) };
            let shares = plan(&remaining, &budget);
            let total: usize = shares.iter().map(|share| share.tokens).sum();
            let what = format!("{remaining:?} {budget:?} {shares:?}");
            assert!(total <= budget.step.max(1), "{what}");
            assert_eq!(shares.is_empty(), remaining.is_empty(), "{what}");
            assert!(shares.windows(2).all(|pair| pair[0].index < pair[1].index), "{what}");
            assert!(shares.iter().all(|s| s.tokens > 0 && s.tokens <= remaining[s.index]), "{what}");
            let decodes = remaining.iter().filter(|&&tokens| tokens == 1).count();
            if decodes < budget.step.max(1) {
                let served = shares.iter().filter(|share| remaining[share.index] == 1).count();
                assert_eq!(served, decodes, "every decode advances: {what}");
                if let Some(oldest) = remaining.iter().position(|&tokens| tokens > 1) {
                    assert!(
                        shares.iter().any(|share| share.index == oldest),
                        "the oldest prompt too: {what}"
                    );
                }
            }
        }
    }

    #[test]
    fn pace_settles_where_a_step_takes_the_target() {
        for us_per_token in [100, 1_000, 5_000] {
            let mut pace = Pace::new(Duration::from_millis(100), 512);
            for _ in 0..40 {
                let chunk = pace.chunk();
                pace.observe(chunk, Duration::from_micros(us_per_token * u64::try_from(chunk).unwrap()));
            }
            let ideal = (100_000 / us_per_token).clamp(8, 512);
            let ideal = usize::try_from(ideal).unwrap();
            assert!(pace.chunk().abs_diff(ideal) <= 1, "{us_per_token} µs: {} for {ideal}", pace.chunk());
        }
    }

    #[test]
    fn pace_learns_nothing_from_a_short_prompt() {
        let mut pace = Pace::new(Duration::from_millis(100), 512);
        pace.observe(3, Duration::from_millis(1));
        assert_eq!(pace.chunk(), 32);
        pace.observe(32, Duration::from_secs(9));
        assert_eq!(pace.chunk(), 16);
    }
}
