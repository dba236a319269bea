//! `POST /receipts`: what our own servers report by themselves.

use super::super::ledger::ask;
use super::super::reply::{self, header_text};
use super::super::{Gateway, admit, authenticate};
use super::tenants;
use crate::config::{Kind, LedgerStore};
use crate::error::ApiError;
use crate::ledger::{Operation, Outcome};
use crate::metering::limit::{origin_shard, tenant_shard};
use crate::metering::receipt::is_sane;
use crate::platform::{Platform, StoreError};
use crate::request_id;
use crate::secret::OriginSecrets;
use http::Request;
use moegate_wire::header as wire;
use moegate_wire::push::{self, Accepted, Push};

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
    let body = admit::body(platform, &gateway.config, head.headers()).await?;
    let batch: Push = serde_json::from_slice(&body.bytes).map_err(|_| {
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
    let (signature, time) =
        (header_text(head.headers(), wire::SIGNATURE), header_text(head.headers(), wire::TIME));
    let now_s = platform.now_ms() / 1000;
    let verified = secrets
        .bearer()
        .map(|key| key.sign_with(|key| push::verify(key, time, &body.bytes, signature, now_s)));
    match verified {
        Some(Ok(())) => {}
        // The sender has the key: it may know why.
        Some(Err(why @ push::PushError::Expired)) => return Err(ApiError::receipts_refused(why.to_string())),
        _ => return Err(refused()),
    }
    let tenants = tenants(gateway);
    for receipt in batch.receipts.iter().filter(|receipt| is_sane(receipt)) {
        for tenant in tenants.iter().filter(|tenant| request_id::has_mark(&receipt.id, tenant)) {
            taken(
                ask(
                    platform,
                    &tenant_shard(tenant),
                    &Operation::Receipt { origin: origin.name.clone(), receipt: receipt.clone() },
                )
                .await,
            )?;
        }
    }
    for period in &batch.periods {
        let operation = Operation::Period { origin: origin.name.clone(), period: period.clone() };
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
