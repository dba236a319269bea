//! From its candidates or from all of it, a row yields the same token.

use super::sample::{NotANumber, Sampler, Sampling};
use crate::engine::{Best, Candidate, LOG_SUM_EXP_ERROR, Outcome, Outcomes, TokenId};

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 ^ (self.0 >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// In `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "test data")]
    fn part(&mut self) -> f64 {
        self.next() as f64 / 4_294_967_296.0
    }

    /// Nearly normal, with a spread of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.part()).sum::<f64>() - 6.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Flat,
    Even,
    Bell,
    Peaked,
    Ties,
    Zeros,
    Huge,
    Odd,
}

const SHAPES: [Shape; 8] = [
    Shape::Flat,
    Shape::Even,
    Shape::Bell,
    Shape::Peaked,
    Shape::Ties,
    Shape::Zeros,
    Shape::Huge,
    Shape::Odd,
];

fn row(shape: Shape, vocab_size: usize, dice: &mut Dice) -> Vec<f32> {
    let mut one = || match shape {
        Shape::Flat => dice.part() * 1e-3,
        Shape::Even => 0.25,
        Shape::Bell | Shape::Odd => dice.normal() * 2.0,
        // As those of trained models: a few tokens have nearly all of the mass.
        Shape::Peaked => dice.normal() * 1.5,
        Shape::Ties => (dice.normal() * 2.0).round() / 2.0,
        Shape::Zeros => dice.one(&[0.0, -0.0, -0.0, -3.0]),
        Shape::Huge => dice.normal() * 3e4,
    };
    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    let mut row: Vec<f32> = (0..vocab_size).map(|_| one() as f32).collect();
    match shape {
        Shape::Peaked => {
            for _ in 0..1 + dice.below(4) {
                row[dice.below(vocab_size)] += 20.0;
            }
        }
        Shape::Odd => {
            for _ in 0..1 + dice.below(3) {
                row[dice.below(vocab_size)] = dice.one(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
            }
        }
        _ => {}
    }
    row
}

fn sampling(dice: &mut Dice, candidates: usize, vocab_size: usize) -> Sampling {
    let penalty =
        |dice: &mut Dice| if dice.below(4) > 0 { 0.0 } else { dice.one(&[0.5, 1.0, 2.0, -0.5, -2.0]) };
    let counts = [0, 0, 0, 1, 2, 5, candidates, candidates + 1, vocab_size, vocab_size + 9];
    Sampling {
        temperature: dice.one(&[0.0, 1e-6, 0.2, 0.7, 0.9, 1.0, 1.0, 1.0, 1.1, 1.5, 2.0]),
        top_p: dice.one(&[1.0, 1.0, 1.0, 0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999_999]),
        top_k: dice.one(&counts),
        frequency_penalty: penalty(dice),
        presence_penalty: penalty(dice),
        seed: dice.next(),
    }
}

/// What each of both ways yields behind `generated`; `error` is the sum's, in units of the largest.
fn both(
    row: &[f32],
    candidates: usize,
    error: f64,
    sampling: Sampling,
    generated: &[TokenId],
) -> (Option<TokenId>, Result<TokenId, NotANumber>) {
    let mut outcomes = Outcomes::default();
    outcomes.best(row.len());
    outcomes.push_row(row, candidates);
    let Some(Outcome::Best(best)) = outcomes.get(0) else { panic!("a row") };
    let best = Best { log_sum_exp: best.log_sum_exp + error * LOG_SUM_EXP_ERROR, ..best };
    let (mut by_best, mut by_row) =
        (Sampler::after(sampling, generated), Sampler::after(sampling, generated));
    (by_best.next_of(&best), by_row.next(&mut row.to_vec()))
}

#[test]
fn candidates_yield_what_the_row_yields() {
    let mut dice = Dice(1);
    let mut decided = [0; SHAPES.len()];
    for round in 0..60_000 {
        let at = round % SHAPES.len();
        let vocab_size = dice.one(&[1, 2, 7, 65, 300, 300, 1_000]);
        let row = row(SHAPES[at], vocab_size, &mut dice);
        let candidates = dice.one(&[1, 2, 8, 32, 64]);
        let sampling = sampling(&mut dice, candidates, vocab_size);
        // Likely ones and any.
        let mut generated: Vec<TokenId> = Vec::new();
        for _ in 0..dice.below(6) {
            let any = TokenId::try_from(dice.below(vocab_size)).unwrap();
            let likely = (0..).zip(&row).max_by(|a, b| a.1.total_cmp(b.1)).map(|(token, _)| token);
            generated.extend([Some(any), likely.filter(|_| dice.below(2) == 0)].into_iter().flatten());
        }
        let error = dice.one(&[-1.0, 0.0, 1.0]);
        let (by_best, by_row) = both(&row, candidates, error, sampling, &generated);
        if let Some(token) = by_best {
            decided[at] += 1;
            assert_eq!(
                Ok(token),
                by_row,
                "round {round}: {:?} of {vocab_size}, {candidates} candidates, {sampling:?} {generated:?}",
                SHAPES[at]
            );
        }
    }
    println!("decided, of {} each: {decided:?}", 60_000 / SHAPES.len());
    for (shape, decided) in SHAPES.into_iter().zip(decided) {
        let least = match shape {
            Shape::Odd => 0,
            Shape::Peaked | Shape::Huge => 5_000,
            _ => 2_000,
        };
        assert!(decided >= least && (shape != Shape::Odd || decided == 0), "{shape:?}: {decided}");
    }
}

/// With the vocabulary of a large model, whose tail has many tokens.
#[test]
fn a_peaked_row_is_seldom_fetched() {
    let mut dice = Dice(2);
    let default = Sampling::default();
    let samplings = [
        (Sampling { temperature: 0.0, ..default }, 0),
        (Sampling { temperature: 0.0, presence_penalty: 0.5, ..default }, 0),
        (Sampling { top_k: 40, ..default }, 0),
        (Sampling { top_k: 40, top_p: 0.9, temperature: 0.7, ..default }, 0),
        (Sampling { top_p: 0.9, ..default }, 1),
        (Sampling { temperature: 0.7, top_p: 0.95, ..default }, 1),
        (Sampling { temperature: 0.7, ..default }, 1),
        (default, 10),
    ];
    for (sampling, most) in samplings {
        let mut fetched = 0;
        for seed in 0..100 {
            let row = row(Shape::Peaked, 32_768, &mut dice);
            let (by_best, by_row) = both(&row, 64, 0.0, Sampling { seed, ..sampling }, &[7, 11, 13]);
            fetched += usize::from(by_best.is_none());
            assert!(by_best.is_none_or(|token| by_row == Ok(token)));
        }
        println!("{fetched} of 100 with {sampling:?}");
        assert!(fetched <= most, "{fetched} of 100 with {sampling:?}");
    }
}

/// The default sampling goes through the vocabulary in the order of its tokens: what is not at hand may lie anywhere between.
#[test]
fn near_a_border_the_row_is_asked_for() {
    // 3 · 0.3 of the mass in candidates, 0.1 in a hundred others.
    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    let row: Vec<f32> =
        (0..103).map(|token| if token % 50 == 1 { 0.3_f64.ln() } else { 0.001_f64.ln() } as f32).collect();
    let (mut decided, mut fetched) = (0, 0);
    for seed in 0..20_000 {
        let (by_best, by_row) = both(&row, 3, 0.0, Sampling { seed, ..Sampling::default() }, &[]);
        match by_best {
            Some(token) => {
                assert_eq!(Ok(token), by_row);
                decided += 1;
            }
            None => fetched += 1,
        }
    }
    // Each candidate's 0.3 are sure but for the 0.1 by which the others may push it on.
    assert!((11_700..12_300).contains(&decided), "{decided} {fetched}");
}

/// Two of four like tokens are exactly half of the mass, whatever the sum's error would have them be.
#[test]
fn on_a_border_the_sum_s_error_decides_nothing() {
    for seed in 0..200 {
        let sampling = Sampling { top_p: 0.5, seed, ..Sampling::default() };
        for error in [-1.0, -0.5, 0.0, 0.5, 1.0] {
            let (by_best, by_row) = both(&[0.0; 4], 3, error, sampling, &[]);
            assert!(by_row.is_ok_and(|token| token < 2));
            assert!(by_best.is_none_or(|token| by_row == Ok(token)), "{seed} {error}");
        }
    }
}

#[test]
fn nothing_changes_where_the_row_is_asked_for() {
    let mut outcomes = Outcomes::default();
    outcomes.best(3);
    let candidates = [Candidate { token: 1, logit: 0.0 }];
    outcomes.push(candidates, 3f64.ln(), true);
    let Some(Outcome::Best(best)) = outcomes.get(0) else { panic!("a row") };
    let sampling = Sampling { presence_penalty: 1.0, ..Sampling::default() };
    let (mut asked, mut other) = (Sampler::new(sampling), Sampler::new(sampling));
    for _ in 0..20 {
        assert_eq!(asked.next_of(&best), None);
        assert_eq!(asked.next(&mut [0.0; 3]), other.next(&mut [0.0; 3]));
    }
}
