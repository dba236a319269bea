use super::*;
use crate::config::{Config, authoring};
use crate::dialect::event::Output;
use crate::dialect::partial::Partial;
use crate::dialect::request::{CannotEncode, Changes, Encoded, EncodedBody};
use crate::dialect::{Gathered, StreamOptions};
use crate::payload::edited;
use crate::stream::{Close, Forward, Scanner};
use moegate_wire::Ending;
use moegate_wire::{Price, Rates};
use serde_json::{Value, json};

mod answers;
mod errors;
mod requests;
