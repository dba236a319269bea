//! Amazon Bedrock's Converse API, as origins speak it
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).
//!
//! A stream's events come in AWS's binary framing, which is made server-sent events of before they are read here.

mod encode;
mod reader;

use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::{Destination, EventReader, OriginFormat};
use std::borrow::Cow;
use std::fmt::Write;

pub(in crate::dialect) struct Converse;

impl OriginFormat for Converse {
    fn path(&self, to: &Destination<'_>, stream: bool) -> Cow<'static, str> {
        let mut path = String::from("/model/");
        // Ids have colons, and inference profiles are ARNs with slashes.
        for byte in to.model.name.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
                // Writing to a String cannot fail.
                byte => drop(write!(path, "%{byte:02X}")),
            }
        }
        path.push_str(if stream { "/converse-stream" } else { "/converse" });
        path.into()
    }

    fn encode(
        &self,
        request: &Canonical<'_>,
        to: &Destination<'_>,
        unsupported: &mut Unsupported,
    ) -> Vec<u8> {
        encode::encode(request, to, unsupported)
    }

    fn answer<'b>(&self, body: &'b str) -> Option<Vec<Delta<'b>>> {
        reader::answer(body)
    }

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}
