//! What models cost, and from which day on.

use crate::{Day, Dollars, DollarsPerMillion, Origin};
use moegate_wire::price::CLASSES;
use moegate_wire::{Price, Rates, Step};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// The price of each class as it is written, in the order of [`Rates`].
pub(crate) type Given = [Option<u64>; CLASSES];

/// The names of the fields, in the same order.
pub(crate) const NAMES: [&str; CLASSES] = [
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "output",
    "reasoning",
    "audio_output",
    "image",
    "request",
];

/// Tables that have a field for each class.
macro_rules! priced {
    ($(
        $(#[$meta:meta])*
        $name:ident { $($before:tt)* } { $($after:tt)* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
        #[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($before)*
            /// Price of prompt tokens. Required, but where the origin has `gpu_hour`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub input: Option<DollarsPerMillion>,
            /// Price of prompt tokens served from a cache. Default: as `input`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub cached_input: Option<DollarsPerMillion>,
            /// Price of prompt tokens that are written to a cache (Anthropic). Default: as `input`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub cache_write: Option<DollarsPerMillion>,
            /// Price of prompt tokens that are written to a cache for an hour (Anthropic). Default: as `cache_write`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub cache_write_1h: Option<DollarsPerMillion>,
            /// Price of audio in the prompt. Default: as `input`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub audio_input: Option<DollarsPerMillion>,
            /// Price of completion tokens. Required, but where the origin has `gpu_hour`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub output: Option<DollarsPerMillion>,
            /// Price of the completion tokens that are thoughts. Default: as `output`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub reasoning: Option<DollarsPerMillion>,
            /// Price of audio in the completion. Default: as `output`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub audio_output: Option<DollarsPerMillion>,
            /// Price of each generated image (`/images/…`), beside that of tokens. Default: none.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub image: Option<Dollars>,
            /// Price of each request that used anything, beside that of tokens. Default: none.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub request: Option<Dollars>,
            $($after)*
        }

        impl $name {
            pub(crate) fn given(&self) -> Given {
                let tokens = |price: Option<DollarsPerMillion>| price.map(|price| price.0);
                let each = |price: Option<Dollars>| price.map(Dollars::nanodollars);
                [
                    tokens(self.input),
                    tokens(self.cached_input),
                    tokens(self.cache_write),
                    tokens(self.cache_write_1h),
                    tokens(self.audio_input),
                    tokens(self.output),
                    tokens(self.reasoning),
                    tokens(self.audio_output),
                    each(self.image),
                    each(self.request),
                ]
            }
        }
    )*};
}

priced! {
    /// A model at an origin.
    Model {
        /// As the origin knows it.
        pub name: String,
    } {
        /// The prices of longer prompts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub steps: Vec<PriceStep>,
        /// The day, in UTC, from whose beginning on these prices hold, such as `"2026-11-01"`: it may lie ahead. Until then
        /// those in `history` hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<Day>,
        /// Where they are published: a URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
        /// Former prices, the latest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub history: Vec<PastPrice>,
        /// The most tokens of prompt and answer together: after `context_length` only models with more are tried. Default:
        /// not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub context_tokens: Option<u32>,
        /// The most completion tokens, where an API wants a limit and the client sent none (Anthropic). Default: 8192.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_output_tokens: Option<u32>,
    }

    /// The prices of longer prompts, ascending by `above`; they hold for the whole request. Each step names at least the
    /// classes that the prices name to which it belongs: those of the model, or (`[[origins.models.history.steps]]`) former ones.
    PriceStep {
        /// Tokens of the prompt, what was cached included: these prices hold where it has more.
        pub above: u64,
    } {
    }

    /// Former prices, the latest first: with the model's own `since`, a changed price never re-prices the past, and one that
    /// comes can be written down before. An attempt costs what held when it began; before the earliest of them that one holds.
    PastPrice {
        /// The day, in UTC, from whose beginning on they held; until the `since` of the prices before them in the file.
        pub since: Day,
        /// Where they were published: a URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
    } {
        /// The prices of longer prompts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub steps: Vec<PriceStep>,
    }
}

/// All three, as they are read: one reader instead of three keeps the module small.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Option<String>,
    above: Option<u64>,
    since: Option<Day>,
    source: Option<String>,
    input: Option<DollarsPerMillion>,
    cached_input: Option<DollarsPerMillion>,
    cache_write: Option<DollarsPerMillion>,
    cache_write_1h: Option<DollarsPerMillion>,
    audio_input: Option<DollarsPerMillion>,
    output: Option<DollarsPerMillion>,
    reasoning: Option<DollarsPerMillion>,
    audio_output: Option<DollarsPerMillion>,
    image: Option<Dollars>,
    request: Option<Dollars>,
    steps: Option<Vec<PriceStep>>,
    history: Option<Vec<PastPrice>>,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
}

impl Table {
    /// The fields that are there of those that not all of the three have.
    fn others(&self) -> [(&'static str, bool); 8] {
        [
            ("name", self.name.is_some()),
            ("above", self.above.is_some()),
            ("since", self.since.is_some()),
            ("source", self.source.is_some()),
            ("steps", self.steps.is_some()),
            ("history", self.history.is_some()),
            ("context_tokens", self.context_tokens.is_some()),
            ("max_output_tokens", self.max_output_tokens.is_some()),
        ]
    }

    /// # Errors
    /// One of them has no place here.
    fn only<E: Error>(self, allowed: &[&str]) -> Result<Self, E> {
        let stray = self.others().into_iter().find(|(name, given)| *given && !allowed.contains(name));
        match stray {
            Some((name, _)) => {
                Err(E::custom(format_args!("unknown field `{name}`: it has no place in this table")))
            }
            None => Ok(self),
        }
    }
}

macro_rules! read {
    ($($name:ident ($table:ident, $allowed:expr) { $($field:ident: $value:expr,)* })*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $table = Table::deserialize(deserializer)?.only(&$allowed)?;
                Ok(Self {
                    input: $table.input,
                    cached_input: $table.cached_input,
                    cache_write: $table.cache_write,
                    cache_write_1h: $table.cache_write_1h,
                    audio_input: $table.audio_input,
                    output: $table.output,
                    reasoning: $table.reasoning,
                    audio_output: $table.audio_output,
                    image: $table.image,
                    request: $table.request,
                    $($field: $value,)*
                })
            }
        }
    )*};
}

read! {
    Model (table, ["name", "since", "source", "steps", "history", "context_tokens", "max_output_tokens"]) {
        name: table.name.ok_or_else(|| D::Error::missing_field("name"))?,
        since: table.since,
        source: table.source,
        steps: table.steps.unwrap_or_default(),
        history: table.history.unwrap_or_default(),
        context_tokens: table.context_tokens,
        max_output_tokens: table.max_output_tokens,
    }

    PriceStep (table, ["above"]) {
        above: table.above.ok_or_else(|| D::Error::missing_field("above"))?,
    }

    PastPrice (table, ["since", "source", "steps"]) {
        since: table.since.ok_or_else(|| D::Error::missing_field("since"))?,
        source: table.source,
        steps: table.steps.unwrap_or_default(),
    }
}

/// What is not given costs as its like.
fn rates(given: Given) -> Rates {
    let [input, cached_input, cache_write, cache_write_1h, audio_input, output, reasoning, audio_output, ..] =
        given;
    let [.., image, request] = given.map(Option::unwrap_or_default);
    let (input, output) = (input.unwrap_or_default(), output.unwrap_or_default());
    let cache_write = cache_write.unwrap_or(input);
    Rates {
        input,
        cached_input: cached_input.unwrap_or(input),
        cache_write,
        cache_write_1h: cache_write_1h.unwrap_or(cache_write),
        audio_input: audio_input.unwrap_or(input),
        output,
        reasoning: reasoning.unwrap_or(output),
        audio_output: audio_output.unwrap_or(output),
        image,
        request,
    }
}

/// The prices of one time.
pub(crate) struct Row<'a> {
    pub(crate) given: Given,
    pub(crate) steps: &'a [PriceStep],
    pub(crate) since: Option<Day>,
    pub(crate) source: Option<&'a str>,
}

impl PastPrice {
    pub(crate) fn row(&self) -> Row<'_> {
        let source = self.source.as_deref();
        Row { given: self.given(), steps: &self.steps, since: Some(self.since), source }
    }
}

impl Model {
    pub(crate) fn row(&self) -> Row<'_> {
        Row { given: self.given(), steps: &self.steps, since: self.since, source: self.source.as_deref() }
    }

    fn row_at(&self, ms: u64) -> Row<'_> {
        if self.since.is_none_or(|since| since.start_ms() <= ms) {
            return self.row();
        }
        let past = self.history.iter().find(|past| past.since.start_ms() <= ms);
        past.or(self.history.last()).map_or_else(|| self.row(), PastPrice::row)
    }
}

impl Row<'_> {
    fn price(&self, gpu_hour: Option<Dollars>) -> Price {
        let step = |step: &PriceStep| Step { above: step.above, rates: rates(step.given()) };
        Price {
            rates: rates(self.given),
            steps: self.steps.iter().map(step).collect(),
            gpu_hour: gpu_hour.map_or(0, Dollars::nanodollars),
        }
    }
}

impl Origin {
    /// What the model costs here for an attempt that begins at that time, in Unix milliseconds.
    #[must_use]
    pub fn price_at(&self, model: &Model, ms: u64) -> Price {
        model.row_at(ms).price(self.gpu_hour)
    }

    /// What names that price in records: `2026-11-01-1a2b3c4d`, the day since when it holds, if the configuration says it,
    /// and a digest of all its numbers.
    #[must_use]
    pub fn price_version(&self, model: &Model, ms: u64) -> String {
        let row = model.row_at(ms);
        let digest = row.price(self.gpu_hour).digest();
        row.since.map_or_else(|| digest.clone(), |since| format!("{since}-{digest}"))
    }
}
