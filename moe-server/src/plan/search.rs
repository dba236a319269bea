//! Bisection.

/// The least of `0..=end` that is so, where all from some number on are; `end`, where none before is.
pub(super) fn least(end: usize, so: impl Fn(usize) -> bool) -> usize {
    let (mut below, mut least) = (0, end);
    while below < least {
        let middle = below + (least - below) / 2;
        if so(middle) {
            least = middle;
        } else {
            below = middle + 1;
        }
    }
    least
}

/// The most of `1..=end` that is so, where all up to some number are; none where none is.
pub(super) fn most(end: usize, so: impl Fn(usize) -> bool) -> Option<usize> {
    // The first that is not so has one before it, unless it is 1.
    least(end, |number| !so(number + 1)).checked_sub(1).map(|number| number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found() {
        for border in 0..=10 {
            assert_eq!(least(10, |n| n >= border), border);
            assert_eq!(most(10, |n| n <= border), (border > 0).then_some(border));
        }
        assert_eq!((least(10, |_| false), most(10, |_| true), most(0, |_| true)), (10, Some(10), None));
    }
}
