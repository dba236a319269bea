//! A whole answer: its deltas, gathered.

use super::Signer;
use super::delta::{Citation, Delta};
use super::stop::Stop;
use crate::dialect::counts::Counts;

/// What a stream's deltas come to, or a whole answer's.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::dialect) struct Answer {
    pub(in crate::dialect) id: String,
    pub(in crate::dialect) model: String,
    pub(in crate::dialect) parts: Vec<AnswerPart>,
    pub(in crate::dialect) stop: Option<Stop>,
    pub(in crate::dialect) counts: Option<Counts>,
    /// Elements of OpenAI's list of log probabilities, with commas between them.
    pub(in crate::dialect) logprobs: String,
    /// Deltas with content: about as many tokens.
    pub(in crate::dialect) events: u64,
    /// The last part is whole.
    ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum AnswerPart {
    Text {
        text: String,
        citations: Vec<Citation<'static>>,
    },
    Refusal(String),
    /// `redacted`: the signature is a thought that is encrypted as a whole.
    Reasoning {
        text: String,
        signature: Option<(Signer, String)>,
        redacted: bool,
    },
    /// `arguments`: JSON, empty for none.
    ToolCall {
        slot: u64,
        id: String,
        name: String,
        arguments: String,
        signature: Option<String>,
    },
    Media {
        media_type: String,
        base64: String,
    },
}

impl Answer {
    pub(in crate::dialect) fn of<'d>(deltas: impl IntoIterator<Item = Delta<'d>>) -> Self {
        let mut answer = Self::default();
        for delta in deltas {
            answer.take(delta);
        }
        answer
    }

    /// Takes in what comes next.
    pub(in crate::dialect) fn take(&mut self, delta: Delta<'_>) {
        self.events += u64::from(delta.is_content());
        let ended = std::mem::take(&mut self.ended);
        let last = self.parts.last_mut().filter(|_| !ended);
        match delta {
            Delta::Start { id, model } => {
                // What came first holds; some send it with every event.
                for (own, new) in [(&mut self.id, id), (&mut self.model, model)] {
                    if own.is_empty() {
                        *own = new.into_owned();
                    }
                }
                self.ended = ended;
            }
            Delta::Text(more) => match last {
                Some(AnswerPart::Text { text, .. }) => text.push_str(&more),
                _ if more.is_empty() => self.ended = ended,
                _ => self.parts.push(AnswerPart::Text { text: more.into_owned(), citations: Vec::new() }),
            },
            Delta::Refusal(more) => match last {
                Some(AnswerPart::Refusal(text)) => text.push_str(&more),
                _ if more.is_empty() => self.ended = ended,
                _ => self.parts.push(AnswerPart::Refusal(more.into_owned())),
            },
            Delta::Reasoning(more) => match last {
                Some(AnswerPart::Reasoning { text, redacted: false, signature: None }) => {
                    text.push_str(&more);
                }
                _ if more.is_empty() => self.ended = ended,
                _ => self.parts.push(AnswerPart::Reasoning {
                    text: more.into_owned(),
                    signature: None,
                    redacted: false,
                }),
            },
            Delta::Signature(signer, more) => match last {
                Some(AnswerPart::Reasoning { signature, redacted: false, .. }) => match signature {
                    Some((_, text)) => text.push_str(&more),
                    None => *signature = Some((signer, more.into_owned())),
                },
                _ => self.parts.push(AnswerPart::Reasoning {
                    text: String::new(),
                    signature: Some((signer, more.into_owned())),
                    redacted: false,
                }),
            },
            Delta::Redacted(signer, data) => self.parts.push(AnswerPart::Reasoning {
                text: String::new(),
                signature: Some((signer, data.into_owned())),
                redacted: true,
            }),
            Delta::ToolCall { slot, id, name, signature } => self.parts.push(AnswerPart::ToolCall {
                slot,
                id: id.into_owned(),
                name: name.into_owned(),
                arguments: String::new(),
                signature: signature.map(Into::into),
            }),
            Delta::Arguments { slot: at, json } => {
                let calls = self.parts.iter_mut().rev().find_map(|part| match part {
                    AnswerPart::ToolCall { slot, arguments, .. } if *slot == at => Some(arguments),
                    _ => None,
                });
                if let Some(arguments) = calls {
                    arguments.push_str(&json);
                }
            }
            Delta::Citation(citation) => {
                let Delta::Citation(citation) = Delta::Citation(citation).into_owned() else { return };
                match self.parts.iter_mut().rev().find_map(|part| match part {
                    AnswerPart::Text { citations, .. } => Some(citations),
                    _ => None,
                }) {
                    Some(citations) => citations.push(citation),
                    None => {
                        self.parts.push(AnswerPart::Text { text: String::new(), citations: vec![citation] });
                    }
                }
            }
            Delta::Logprobs(elements) => {
                if !self.logprobs.is_empty() && !elements.is_empty() {
                    self.logprobs.push(',');
                }
                self.logprobs.push_str(&elements);
                self.ended = ended;
            }
            Delta::Media { media_type, base64 } => self
                .parts
                .push(AnswerPart::Media { media_type: media_type.into_owned(), base64: base64.into_owned() }),
            Delta::PartEnd => self.ended = true,
            Delta::Stop(stop) => (self.stop, self.ended) = (Some(stop), ended),
            Delta::Usage(counts) => {
                self.counts.get_or_insert_default().grow(counts);
                self.ended = ended;
            }
        }
    }

    /// The deltas that come to it: one for each part.
    pub(in crate::dialect) fn deltas(&self) -> Vec<Delta<'_>> {
        let mut deltas =
            vec![Delta::Start { id: self.id.as_str().into(), model: self.model.as_str().into() }];
        for part in &self.parts {
            match part {
                AnswerPart::Text { text, citations } => {
                    deltas.push(Delta::Text(text.as_str().into()));
                    deltas.extend(citations.iter().cloned().map(Delta::Citation));
                }
                AnswerPart::Refusal(text) => deltas.push(Delta::Refusal(text.as_str().into())),
                AnswerPart::Reasoning { signature: Some((signer, data)), redacted: true, .. } => {
                    deltas.push(Delta::Redacted(*signer, data.as_str().into()));
                }
                AnswerPart::Reasoning { text, signature, .. } => {
                    deltas.push(Delta::Reasoning(text.as_str().into()));
                    if let Some((signer, text)) = signature {
                        deltas.push(Delta::Signature(*signer, text.as_str().into()));
                    }
                }
                AnswerPart::ToolCall { slot, id, name, arguments, signature } => {
                    let signature = signature.as_deref().map(Into::into);
                    let (id, name) = (id.as_str().into(), name.as_str().into());
                    deltas.push(Delta::ToolCall { slot: *slot, id, name, signature });
                    deltas.push(Delta::Arguments { slot: *slot, json: arguments.as_str().into() });
                }
                AnswerPart::Media { media_type, base64 } => deltas.push(Delta::Media {
                    media_type: media_type.as_str().into(),
                    base64: base64.as_str().into(),
                }),
            }
            deltas.push(Delta::PartEnd);
        }
        if !self.logprobs.is_empty() {
            deltas.push(Delta::Logprobs(self.logprobs.as_str().into()));
        }
        deltas.extend(self.stop.clone().map(Delta::Stop));
        deltas.extend(self.counts.map(Delta::Usage));
        deltas
    }

    /// The text of all text parts.
    pub(in crate::dialect) fn text(&self) -> String {
        self.parts
            .iter()
            .map(|part| if let AnswerPart::Text { text, .. } = part { text.as_str() } else { "" })
            .collect()
    }

    pub(in crate::dialect) fn has_tool_calls(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, AnswerPart::ToolCall { .. }))
    }
}
