//! What was compared, and how it came out.

use serde::Serialize;

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub what: String,
    /// Values compared.
    pub of: usize,
    /// Of them, those that differ in a bit; for bounds, those beyond it.
    pub wrong: usize,
    /// The largest error, where a bound holds.
    pub error: Option<f64>,
    pub bound: Option<f64>,
}

/// All comparisons.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// True where something was compared and nothing is wrong.
    #[must_use]
    pub fn is_right(&self) -> bool {
        !self.verdicts.is_empty() && self.verdicts.iter().all(|v| v.of > 0 && v.wrong == 0)
    }

    /// The same bits. NaNs are equal.
    pub(crate) fn bits(&mut self, what: impl Into<String>, got: &[f32], expected: &[f32]) {
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let wrong = got.iter().zip(expected).filter(|(a, b)| !same(**a, **b)).count();
        let missing = got.len().abs_diff(expected.len());
        self.add(what, expected.len(), wrong + missing, None);
    }

    pub(crate) fn equal<T: PartialEq>(&mut self, what: impl Into<String>, got: &[T], expected: &[T]) {
        let wrong = got.iter().zip(expected).filter(|(a, b)| a != b).count();
        self.add(what, expected.len(), wrong + got.len().abs_diff(expected.len()), None);
    }

    /// Errors that may be up to `bound`; NaN is beyond any.
    pub(crate) fn within(
        &mut self,
        what: impl Into<String>,
        bound: f64,
        errors: impl IntoIterator<Item = f64>,
    ) {
        let (mut of, mut wrong, mut most) = (0, 0, 0.0_f64);
        for error in errors {
            of += 1;
            wrong += usize::from(error.is_nan() || error > bound);
            most = if error.is_nan() { f64::INFINITY } else { most.max(error) };
        }
        self.add(what, of, wrong, Some((most, bound)));
    }

    fn add(&mut self, what: impl Into<String>, of: usize, wrong: usize, error: Option<(f64, f64)>) {
        let what = what.into();
        let (error, bound) = error.unzip();
        if let Some(v) = self.verdicts.iter_mut().find(|v| v.what == what && v.bound == bound) {
            v.of += of;
            v.wrong += wrong;
            v.error = v.error.zip(error).map(|(a, b)| a.max(b));
            return;
        }
        self.verdicts.push(Verdict { what, of, wrong, error, bound });
    }

    pub(crate) fn append(&mut self, other: Self) {
        for v in other.verdicts {
            self.add(v.what, v.of, v.wrong, v.error.zip(v.bound));
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.wrong == 0 && self.of > 0 { "ok   " } else { "WRONG" };
        write!(f, "{mark} {}: {} of {} differ", self.what, self.wrong, self.of)?;
        match self.error.zip(self.bound) {
            Some((error, bound)) => write!(f, " (at most {error:.2e}, bound {bound:.0e})"),
            None => f.write_str(" in a bit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_a_length_a_nan_and_nothing_at_all_are_noticed() {
        let mut report = Report::default();
        assert!(!report.is_right());
        report.bits("a", &[1.0, f32::NAN], &[1.0, f32::NAN]);
        assert!(report.is_right());
        report.bits("b", &[0.0], &[-0.0]);
        report.bits("c", &[1.0], &[1.0, 2.0]);
        report.within("d", 1.0, [f64::NAN]);
        report.within("e", 1.0, []);
        report.within("f", 1.0, [1.5, 0.5]);
        let wrong: Vec<usize> = report.verdicts.iter().map(|v| v.wrong).collect();
        assert_eq!(wrong, [0, 1, 1, 1, 0, 1]);
        assert!(!report.is_right());
    }
}
