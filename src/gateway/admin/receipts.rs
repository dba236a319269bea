//! `POST /receipts`: what our own servers report by themselves.

use super::super::ledger::ask;
use super::super::reply::{self, header_text};
use super::super::stream::Watch;
use super::super::{Gateway, authenticate};
use super::tenants;
use crate::config::{Kind, LedgerStore};
use crate::error::ApiError;
use crate::json::from_bytes;
use crate::ledger::{Operation, Outcome};
use crate::metering::limit::{origin_shard, tenant_shard};
use crate::metering::receipt::is_sane;
use crate::platform::{Platform, StoreError};
use crate::request_id;
use crate::secret::OriginSecrets;
use http::Request;
use moegate_wire::push::{self, Accepted, Push};
use moegate_wire::{Receipt, header as wire};

/// Bytes of a batch at most, and how long it may take to come.
const LARGEST: usize = 256 * 1024;
const BODY_MS: u64 = 10_000;

/// Takes a batch: signed with the key of the origin that it names. All of it is in the ledger when this answers 200; a batch
/// that comes again changes nothing.
pub(super) async fn receive<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    if gateway.config.ledger.store == LedgerStore::KeyValue {
        return Err(super::needs_ledger());
    }
    // Nobody has said who they are yet: what is not signed, not of now or large is not read.
    let headers = head.headers();
    let (signature, time) = (header_text(headers, wire::SIGNATURE), header_text(headers, wire::TIME));
    let now_s = platform.now_ms() / 1000;
    let length: Option<usize> = header_text(headers, "content-length").parse().ok();
    if signature.is_empty() || length.is_none_or(|length| length > LARGEST) {
        let text = "receipts are signed, and come with a length of at most 256 KiB";
        return Err(ApiError::receipts_refused(text.to_owned()));
    }
    if time.parse::<u64>().is_ok_and(|time_s| time_s.abs_diff(now_s) > push::MAX_SKEW_S) {
        return Err(ApiError::receipts_refused(push::PushError::Expired.to_string()));
    }
    let until_ms = platform.now_ms() + BODY_MS;
    let read = Watch::new(platform).run_unattended(platform.read_body(LARGEST), until_ms).await;
    let body = read.and_then(Result::ok).ok_or_else(ApiError::body_timeout)?;
    let batch: Push = from_bytes(&body).map_err(|_| {
        ApiError::invalid("invalid_receipts", None, "the body is no batch of receipts of this version")
    })?;
    let refused = || {
        let text = "the receipts are not signed with the key of an origin of this gateway";
        ApiError::receipts_refused(text.to_owned())
    };
    let config = &gateway.config;
    let origin = config.origin(&batch.origin).filter(|origin| origin.kind == Kind::Moegate);
    let origin = origin.ok_or_else(refused)?;
    let names = OriginSecrets::names(origin, 0);
    let secrets = authenticate::look_up(platform, names).await;
    let secrets = secrets.map_err(|_| ApiError::secrets_unavailable())?;
    let secrets = OriginSecrets::of(origin, 0, &secrets)?;
    let verified =
        secrets.bearer().map(|key| key.sign_with(|key| push::verify(key, time, &body, signature, now_s)));
    match verified {
        Some(Ok(())) => {}
        // The sender has the key: it may know why.
        Some(Err(why @ push::PushError::Expired)) => return Err(ApiError::receipts_refused(why.to_string())),
        _ => return Err(refused()),
    }
    let tenants = tenants(platform, gateway).await?;
    if batch.receipts.len() + batch.periods.len() > push::MAX_ITEMS {
        let text = format!("a batch has at most {} receipts and periods", push::MAX_ITEMS);
        return Err(ApiError::invalid("invalid_receipts", None, text));
    }
    for tenant in &tenants {
        let own = |receipt: &&Receipt| request_id::has_mark(&receipt.id, tenant) && is_sane(receipt);
        let receipts: Vec<_> = batch.receipts.iter().filter(own).cloned().collect();
        if !receipts.is_empty() {
            let operation = Operation::Receipts { origin: origin.name.clone(), receipts };
            taken(ask(platform, &tenant_shard(tenant), &operation).await)?;
        }
    }
    if !batch.periods.is_empty() {
        let operation =
            Operation::ReportPeriods { origin: origin.name.clone(), periods: batch.periods.clone() };
        taken(ask(platform, &origin_shard(&origin.name), &operation).await)?;
    }
    let accepted = Accepted { accepted: batch.receipts.len() + batch.periods.len() };
    let body = serde_json::to_string(&accepted).unwrap_or_default();
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

fn taken(outcome: Result<Outcome, StoreError>) -> Result<(), ApiError> {
    outcome.map(|_| ()).map_err(|_| ApiError::ledger_unavailable())
}
