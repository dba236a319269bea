//! What an answer's text rests on, and how likely its tokens were.

use crate::dialect::canonical::delta::{Citation, Delta};
use crate::dialect::json::{list, pick, string, whole_number};
use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// More text than this is not kept for its characters to be counted.
const MOST_TEXT: usize = 1024 * 1024;

/// Sources that an answer has named.
#[derive(Default)]
pub(super) struct Sources {
    /// The answer's text: Google counts in bytes, the canonical form in characters.
    text: String,
    /// Later events repeat what earlier ones said.
    named: Vec<(String, Option<(u64, u64)>)>,
}

type Range = Option<(u64, u64)>;

impl Sources {
    pub(super) fn take(&mut self, text: &str) {
        if self.text.len() + text.len() <= MOST_TEXT {
            self.text.push_str(text);
        }
    }

    pub(super) fn read<'e>(
        &mut self,
        grounding: Option<&'e RawValue>,
        citations: Option<&'e RawValue>,
        deltas: &mut Vec<Delta<'e>>,
    ) {
        if let Some([chunks, supports]) =
            grounding.and_then(|raw| pick(raw.get(), &["groundingChunks", "groundingSupports"]))
        {
            self.grounding(chunks, supports, deltas);
        }
        // The Gemini API's name, and Vertex AI's.
        let sources = citations.and_then(|raw| pick(raw.get(), &["citationSources", "citations"]));
        let sources = sources.and_then(|[sources, citations]| sources.or(citations));
        for source in sources.and_then(list).unwrap_or_default() {
            let Some([uri, title, start, end]) =
                pick(source.get(), &["uri", "title", "startIndex", "endIndex"])
            else {
                continue;
            };
            if let Some(url) = uri.and_then(string) {
                let title = title.and_then(string).unwrap_or_default();
                self.name(url, title, Cow::Borrowed(""), self.range(start, end), deltas);
            }
        }
    }

    fn grounding<'e>(
        &mut self,
        chunks: Option<&'e RawValue>,
        supports: Option<&'e RawValue>,
        deltas: &mut Vec<Delta<'e>>,
    ) {
        let chunks: Vec<_> = chunks.and_then(list).unwrap_or_default().into_iter().map(source).collect();
        let mut is_supported = vec![false; chunks.len()];
        for support in supports.and_then(list).unwrap_or_default() {
            let Some([segment, indices]) = pick(support.get(), &["segment", "groundingChunkIndices"]) else {
                continue;
            };
            let segment = segment.and_then(|raw| pick(raw.get(), &["startIndex", "endIndex", "text"]));
            let [start, end, text] = segment.unwrap_or_default();
            let range = self.range(start, end);
            for index in indices.and_then(list).unwrap_or_default() {
                let index = whole_number(index).map_or(usize::MAX, |index| index as usize);
                if let Some(Some((url, title))) = chunks.get(index) {
                    is_supported[index] = true;
                    let text = text.and_then(string).unwrap_or_default();
                    self.name(url.clone(), title.clone(), text, range, deltas);
                }
            }
        }
        for ((url, title), _) in chunks
            .into_iter()
            .zip(is_supported)
            .filter_map(|(chunk, own)| Some((chunk?, own)))
            .filter(|own| !own.1)
        {
            self.name(url, title, Cow::Borrowed(""), None, deltas);
        }
    }

    fn name<'e>(
        &mut self,
        url: Cow<'e, str>,
        title: Cow<'e, str>,
        text: Cow<'e, str>,
        range: Range,
        deltas: &mut Vec<Delta<'e>>,
    ) {
        let is_known = |(own, at): &(String, Range)| *own == *url && (range.is_none() || *at == range);
        if !self.named.iter().any(is_known) {
            self.named.push((url.clone().into_owned(), range));
            deltas.push(Delta::Citation(Citation { url, title, text, range, document: None }));
        }
    }

    /// Bytes as characters. A start of 0 is left out in protobuf's JSON.
    fn range(&self, start: Option<&RawValue>, end: Option<&RawValue>) -> Range {
        let at = |bytes: u64| {
            let text = self.text.get(..usize::try_from(bytes).ok()?)?;
            Some(text.chars().count() as u64)
        };
        let start = start.map_or(Some(0), whole_number)?;
        at(start).zip(at(whole_number(end?)?))
    }
}

/// Where a chunk is from, and its title: the web, a picture, a place, or a document.
fn source(chunk: &RawValue) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let kinds = pick(chunk.get(), &["web", "image", "maps", "retrievedContext"])?;
    let [uri, page, title] = pick(kinds.into_iter().flatten().next()?.get(), &["uri", "sourceUri", "title"])?;
    Some((uri.or(page).and_then(string)?, title.and_then(string).unwrap_or_default()))
}

/// `logprobsResult` as elements of OpenAI's list.
pub(super) fn logprobs(result: &RawValue) -> Option<String> {
    let [chosen, tops] = pick(result.get(), &["chosenCandidates", "topCandidates"])?;
    let tops = tops.and_then(list).unwrap_or_default();
    let mut json = JsonWriter::default();
    for (at, chosen) in list(chosen?)?.into_iter().enumerate() {
        json.object(|json| {
            token(json, chosen);
            json.key("top_logprobs").array(|json| {
                let others = tops.get(at).and_then(|top| pick(top.get(), &["candidates"]));
                for other in others.and_then(|[all]| list(all?)).unwrap_or_default() {
                    json.object(|json| token(json, other));
                }
            });
        });
    }
    Some(json.into_string()).filter(|text| !text.is_empty())
}

fn token(json: &mut JsonWriter, candidate: &RawValue) {
    let [text, logprob] = pick(candidate.get(), &["token", "logProbability"]).unwrap_or_default();
    json.key("token").raw(text.map_or("\"\"", RawValue::get));
    // 0 is left out in protobuf's JSON.
    json.key("logprob").raw(logprob.map_or("0", RawValue::get));
    json.key("bytes").raw("null");
}
