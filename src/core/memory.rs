//! What an instance of the gateway remembers from one request to the next. All of it may be lost at any time.

use super::health::Health;
use super::repeats::Repeats;

#[derive(Debug, Default)]
pub struct Memory {
    pub health: Health,
    pub repeats: Repeats,
}
