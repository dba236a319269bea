//! The order of a module's functions. What deflate packs is repeats of what came at most 32 KiB before, so a function is best
//! placed where most of it was just seen: after the other copies of the same generic function, mostly.

use std::collections::VecDeque;

/// The length in bytes of the pieces by which two functions are alike. Shorter ones are in too many of them.
const PIECE: usize = 6;
/// How many functions' bytes one is compared with: deflate's window, less what is packed beside the code.
const WINDOW: usize = 28 << 10;
/// A piece in more functions than that tells nothing about them.
const COMMON: usize = 200;

/// The functions of these bodies, each in turn the one of which the largest share has been in the window already. Where none
/// has a tenth there, the first that is left follows.
pub(super) fn by_likeness(bodies: &[&[u8]]) -> Vec<usize> {
    let (pieces, holders) = shared_pieces(bodies);
    // How many functions in the window hold each piece; of each function, how many pieces the window holds.
    let mut in_window = vec![0_u32; holders.len()];
    let mut known = vec![0_u64; bodies.len()];
    let mut window = VecDeque::new();
    let mut bytes = 0;
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(bodies.len());
    while let Some(place) = next(&left, &known, &pieces) {
        let function = left.remove(place);
        order.push(function);
        window.push_back(function);
        bytes += bodies[function].len();
        for &piece in &pieces[function] {
            in_window[piece] += 1;
            if in_window[piece] == 1 {
                holders[piece].iter().for_each(|&holder| known[holder] += 1);
            }
        }
        while bytes > WINDOW && window.len() > 1 {
            let Some(gone) = window.pop_front() else { break };
            bytes -= bodies[gone].len();
            for &piece in &pieces[gone] {
                in_window[piece] -= 1;
                if in_window[piece] == 0 {
                    holders[piece].iter().for_each(|&holder| known[holder] -= 1);
                }
            }
        }
    }
    order
}

/// The place in `left` of the function that comes next.
fn next(left: &[usize], known: &[u64], pieces: &[Vec<usize>]) -> Option<usize> {
    // A few pieces more below the line, or the smallest functions would always come first.
    let of = |function: usize| pieces[function].len() as u64 + 8;
    let mut best = 0;
    for (place, &function) in left.iter().enumerate() {
        if known[function] * of(left[best]) > known[left[best]] * of(function) {
            best = place;
        }
    }
    let alike = left.get(best).is_some_and(|&function| known[function] * 10 >= of(function));
    if alike { Some(best) } else { (!left.is_empty()).then_some(0) }
}

/// The pieces that more than one function has and no more than [`COMMON`]: those of each function, and the functions of each.
fn shared_pieces(bodies: &[&[u8]]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let mut all: Vec<([u8; PIECE], usize)> = Vec::new();
    for (function, body) in bodies.iter().enumerate() {
        let pieces = body.windows(PIECE).filter_map(|piece| piece.first_chunk().copied());
        all.extend(pieces.map(|piece| (piece, function)));
    }
    all.sort_unstable();
    all.dedup();
    let mut pieces = vec![Vec::new(); bodies.len()];
    let mut holders = Vec::new();
    for same in all.chunk_by(|a, b| a.0 == b.0).filter(|same| (2..=COMMON).contains(&same.len())) {
        same.iter().for_each(|&(_, function)| pieces[function].push(holders.len()));
        holders.push(same.iter().map(|&(_, function)| function).collect());
    }
    (pieces, holders)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of bytes that look random but are the same for a seed.
    fn body(seed: u32, length: usize) -> Vec<u8> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(length)
        .collect()
    }

    #[test]
    fn what_is_alike_is_together_and_what_is_not_stays_in_its_order() {
        // Three kinds of functions, taking turns; each copy differs from the others of its kind in its middle.
        let mut bodies = Vec::new();
        for copy in 0..4_u8 {
            for kind in 0..3_u32 {
                let mut body = body(kind, 200);
                body[100] = copy;
                bodies.push(body);
            }
        }
        bodies.push(body(7, 10));
        bodies.push(Vec::new());
        bodies.push(body(8, 300));
        let bodies: Vec<_> = bodies.iter().map(Vec::as_slice).collect();
        assert_eq!(by_likeness(&bodies), [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 12, 13, 14]);
        assert_eq!(by_likeness(&[]), [0; 0]);
    }

    #[test]
    fn what_has_left_the_window_does_not_count() {
        // The mixture is a few pieces of two functions, less than a tenth each, and else of a third one.
        let (one, two, three, other) = (body(1, 400), body(2, 400), body(3, 900), body(4, 400));
        let mixture = [&one[..66], &two[..66], &three[..]].concat();
        let long = body(5, WINDOW);
        assert_eq!(by_likeness(&[&one, &two, &other, &three, &mixture]), [0, 1, 4, 3, 2]);
        assert_eq!(by_likeness(&[&one, &long, &two, &other, &three, &mixture]), [0, 1, 2, 3, 4, 5]);
    }
}
