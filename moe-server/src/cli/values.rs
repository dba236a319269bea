//! Values of options.

use super::args::UsageError;
use lexopt::{Parser, ValueExt};
use moe_server::engine::cpu::KvType;
use moe_server::load::DeviceChoice;
use moe_server::sleep::{BadWindow, Window};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

pub(super) fn host(text: &str) -> Result<IpAddr, UsageError> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        text => text
            .parse()
            .map_err(|_| UsageError(format!("--host {text}: give an IP address, such as 127.0.0.1 or ::1"))),
    }
}

pub(super) fn kv_type(text: &str) -> Result<KvType, UsageError> {
    let known = KvType::ALL.into_iter().find(|kv_type| kv_type.to_string() == text.to_lowercase());
    known.ok_or_else(|| UsageError(format!("--kv-type {text}: give f16, q8_0 or f32")))
}

pub(super) fn device(text: &str) -> Result<DeviceChoice, UsageError> {
    text.parse().map_err(|()| {
        UsageError(format!("--device {text}: give cpu, auto, or cuda:N (cuda:0 is the first GPU)"))
    })
}

pub(super) fn switch(parser: &mut Parser, name: &str) -> Result<bool, UsageError> {
    match parser.value()?.string()?.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        text => Err(UsageError(format!("--{name} {text}: give on or off"))),
    }
}

pub(super) fn window(text: &str) -> Result<Window, UsageError> {
    text.parse().map_err(|error: BadWindow| UsageError(format!("--keep-warm {text:?}: {error}")))
}

pub(super) fn number<N>(parser: &mut Parser, name: &str, least: N) -> Result<N, UsageError>
where
    N: FromStr + PartialOrd + fmt::Display + Copy,
{
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(UsageError(format!("--{name} {text}: give a whole number of at least {least}"))),
    }
}

pub(super) fn percent(parser: &mut Parser, name: &str) -> Result<u8, UsageError> {
    let text = parser.value()?.string()?;
    let percent = text.parse().ok().filter(|percent| *percent <= 100);
    percent.ok_or_else(|| UsageError(format!("--{name} {text}: give a whole number of 0 to 100")))
}

/// A size in GiB, as bytes.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a number between 0 and 2^60")]
pub(super) fn gibibytes(parser: &mut Parser, name: &str) -> Result<usize, UsageError> {
    let text = parser.value()?.string()?;
    let bytes = text.parse().ok().map(|gib: f64| gib * f64::from(1 << 30));
    match bytes.filter(|bytes| (1.0..1e15).contains(bytes)) {
        Some(bytes) => Ok(bytes as usize),
        None => Err(UsageError(format!("--{name} {text}: give a number of GiB, such as 80"))),
    }
}
