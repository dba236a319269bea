//! What goes into products: activations as `f32` and, for packed weights, quantised.
//!
//! **Invariant**: a token is quantised once, by itself; which tokens then go through a product together does not matter.

use std::{borrow::Cow, ops::Range};

use moe_kernels::{
    matmul::Activations,
    packed::{Grain, PanelMut, Panels, Row, quantise},
    padded,
};

use super::{machine::Machine, pool::TOKENS};
use crate::model::decoder::{Tensor, Weights};

/// The forms of activations that some weights are multiplied with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Forms {
    float: bool,
    fine: bool,
    coarse: bool,
}

impl Forms {
    /// What the products of all of `tensors` need.
    pub(super) fn of<'a>(machine: &Machine<'_>, tensors: impl IntoIterator<Item = &'a Tensor>) -> Self {
        let mut forms = Self::default();
        for tensor in tensors {
            match machine.grain(&tensor.weights(0)) {
                None => forms.float = true,
                Some(Grain::Fine) => forms.fine = true,
                Some(Grain::Coarse) => forms.coarse = true,
            }
        }
        forms
    }

    /// Those of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            float: self.float || other.float,
            fine: self.fine || other.fine,
            coarse: self.coarse || other.coarse,
        }
    }

    fn grains(self) -> impl Iterator<Item = Grain> {
        let fine = self.fine.then_some(Grain::Fine);
        fine.into_iter().chain(self.coarse.then_some(Grain::Coarse))
    }
}

/// Quantised tokens, one after the other.
struct Quantised {
    grain: Grain,
    columns: usize,
    quants: Vec<i8>,
    scales: Vec<f32>,
}

impl Quantised {
    fn row(&self, token: usize, factor: f32) -> Row<'_> {
        let blocks = self.columns / self.grain.columns();
        Row {
            quants: &self.quants[token * self.columns..][..self.columns],
            scales: &self.scales[token * blocks..][..blocks],
            factor,
        }
    }
}

/// Tokens of which inputs are made: all of them, or some in another order.
pub(super) struct Source<'a> {
    /// Rows of `padded(columns)`.
    x: &'a [f32],
    columns: usize,
    quantised: Vec<Quantised>,
}

/// Tokens that go through one product.
#[derive(Debug, Clone)]
pub(super) enum Picked<'a> {
    Range(Range<usize>),
    /// Any tokens, each with what it is multiplied by.
    Weighted(&'a [usize], &'a [f32]),
    Listed(&'a [usize]),
}

impl Picked<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::Weighted(tokens, _) | Self::Listed(tokens) => tokens.len(),
        }
    }

    /// Token number `index` and its factor.
    fn get(&self, index: usize) -> (usize, f32) {
        match self {
            Self::Range(range) => (range.start + index, 1.0),
            Self::Weighted(tokens, factors) => (tokens[index], factors[index]),
            Self::Listed(tokens) => (tokens[index], 1.0),
        }
    }
}

/// What one product reads.
pub(super) struct Input<'a> {
    count: usize,
    columns: usize,
    /// Rows of `padded(columns)`; empty where no product reads them.
    float: Cow<'a, [f32]>,
    panels: Vec<Panels>,
}

impl<'a> Source<'a> {
    /// Quantises the rows of `x`, which are `padded(columns)` apart, as `forms` says.
    pub(super) fn new(machine: &Machine<'_>, x: &'a [f32], columns: usize, forms: Forms) -> Self {
        let stride = padded(columns);
        let count = x.len() / stride;
        let mut quantised = Vec::new();
        for grain in forms.grains() {
            let blocks = columns / grain.columns();
            let mut quants = vec![0; count * columns];
            let mut scales = vec![0.0; count * blocks];
            let tasks = x.chunks(TOKENS * stride).zip(quants.chunks_mut(TOKENS * columns));
            let tasks = tasks.zip(scales.chunks_mut(TOKENS * blocks)).collect();
            machine.pool.for_each(
                tasks,
                || (),
                |((x, quants), scales), ()| {
                    let rows = x.chunks_exact(stride).zip(quants.chunks_exact_mut(columns));
                    for ((x, quants), scales) in rows.zip(scales.chunks_exact_mut(blocks)) {
                        quantise(machine.isa, grain, &x[..columns], quants, scales);
                    }
                },
            );
            quantised.push(Quantised { grain, columns, quants, scales });
        }
        Self { x, columns, quantised }
    }

    /// All tokens, in those of the source's forms that are wanted.
    pub(super) fn all(&self, machine: &Machine<'_>, forms: Forms) -> Input<'a> {
        let count = self.x.len() / padded(self.columns);
        let float = Cow::Borrowed(if forms.float { self.x } else { &[] });
        let mut panels = self.panels(machine, &[Picked::Range(0..count)], forms);
        Input { count, columns: self.columns, float, panels: panels.pop().unwrap_or_default() }
    }

    /// An input for each of `lists`, likewise.
    pub(super) fn pick(
        &self,
        machine: &Machine<'_>,
        lists: &[Picked<'_>],
        forms: Forms,
    ) -> Vec<Input<'static>> {
        let stride = padded(self.columns);
        let mut float = vec![Vec::new(); lists.len()];
        if forms.float {
            let tasks = float.iter_mut().zip(lists).collect();
            machine.pool.for_each(
                tasks,
                || (),
                |(rows, list): (&mut Vec<f32>, _), ()| {
                    rows.reserve_exact(list.len() * stride);
                    for (token, factor) in (0..list.len()).map(|index| list.get(index)) {
                        rows.extend(self.x[token * stride..][..stride].iter().map(|x| factor * x));
                    }
                },
            );
        }
        let panels = self.panels(machine, lists, forms);
        let parts = float.into_iter().zip(panels).zip(lists);
        parts
            .map(|((float, panels), list)| Input {
                count: list.len(),
                columns: self.columns,
                float: Cow::Owned(float),
                panels,
            })
            .collect()
    }

    /// For each list a set of panels for each grain.
    fn panels(&self, machine: &Machine<'_>, lists: &[Picked<'_>], forms: Forms) -> Vec<Vec<Panels>> {
        let wanted = || self.quantised.iter().filter(|q| forms.grains().any(|grain| grain == q.grain));
        let new = |list: &Picked<'_>| -> Vec<Panels> {
            let of = |q: &Quantised| Panels::new(q.grain, self.columns, list.len());
            wanted().map(of).collect()
        };
        let mut all: Vec<Vec<Panels>> = lists.iter().map(new).collect();
        let mut tasks: Vec<(PanelMut<'_>, &Quantised, &Picked<'_>)> = Vec::new();
        for (panels, list) in all.iter_mut().zip(lists) {
            for (panels, quantised) in panels.iter_mut().zip(wanted()) {
                tasks.extend(panels.panels_mut().map(|panel| (panel, quantised, list)));
            }
        }
        machine.pool.for_each(
            tasks,
            || (),
            |(mut panel, quantised, list), ()| {
                let first = panel.first();
                panel.fill(|index| {
                    let (token, factor) = list.get(first + index);
                    quantised.row(token, factor)
                });
            },
        );
        all
    }
}

impl Input<'_> {
    /// Tokens.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// # Panics
    /// Where the source was not asked for this form.
    pub(super) fn float(&self) -> Activations<'_> {
        Activations::new(&self.float, self.count, self.columns)
    }

    /// # Panics
    /// Where the source was not asked for this form.
    pub(super) fn panels(&self, grain: Grain) -> &Panels {
        let Some(panels) = self.panels.iter().find(|panels| panels.grain() == grain) else {
            unreachable!("the forms were taken from the weights")
        };
        panels
    }
}

impl Machine<'_> {
    /// How activations are quantised that these weights are multiplied with; `None` where they stay `f32`.
    pub(super) fn grain(&self, weights: &Weights<'_>) -> Option<Grain> {
        match weights {
            Weights::Packed(packed) if !self.is_exact => Some(packed.packed_type().grain()),
            _ => None,
        }
    }
}
