//! Every fault on every kind of route that makes a difference.

mod answers;
mod endless;
mod leaving;
mod midstream;
mod own;
mod patience;
mod reach;
mod silence;

use super::case::Chapter;

/// In the table's order.
#[must_use]
pub fn all() -> [&'static Chapter; 8] {
    [
        &reach::CHAPTER,
        &silence::CHAPTER,
        &answers::CHAPTER,
        &patience::CHAPTER,
        &midstream::CHAPTER,
        &own::CHAPTER,
        &endless::CHAPTER,
        &leaving::CHAPTER,
    ]
}
