//! `GET /usage`: sums.

use super::super::ledger::ask;
use super::super::{Gateway, authenticate, reply, upkeep};
use super::{needs_ledger, tenants};
use crate::config::{Kind, LedgerStore};
use crate::error::ApiError;
use crate::ledger::operation::{Filter, Totals};
use crate::ledger::{Operation, Outcome};
use crate::metering::limit::{origin_shard, tenant_shard};
use crate::metering::query::{Query, encode_cursor};
use crate::metering::record::Summary;
use crate::metering::report::Report;
use crate::platform::Platform;
use http::Request;

/// Pages, or shards, that one answer reads at most: Workers allow 50 subrequests on the free plan.
const MAX_PAGES: usize = 40;

pub(super) async fn usage<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    authenticate::admin(platform, gateway, head).await?;
    let query = Query::of_sums(head.uri().query().unwrap_or(""))?;
    let report = match gateway.config.ledger.store {
        LedgerStore::Database => of_ledger(platform, gateway, &query).await?,
        LedgerStore::KeyValue if query.needs_ledger() => return Err(needs_ledger()),
        LedgerStore::KeyValue => of_records(platform, &query).await?,
    };
    let body = serde_json::to_string(&report)
        .map_err(|_| ApiError::internal("internal", "the report could not be written"))?;
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

/// The sums of every tenant's shard.
async fn of_ledger<P: Platform>(platform: &P, gateway: &Gateway, query: &Query) -> Result<Report, ApiError> {
    let mut report = Report { period: query.period.clone(), ..Report::default() };
    let (from_ms, to_ms) = query.range_ms();
    let from: usize = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let tenants = tenants(platform, gateway).await?;
    let wanted = |tenant: &&String| query.filter.tenant.as_deref().is_none_or(|wanted| wanted == *tenant);
    for tenant in tenants.iter().skip(from).take(MAX_PAGES).filter(wanted) {
        let shard = tenant_shard(tenant);
        upkeep::overdue(platform, gateway, &shard).await;
        let filter = Filter { tenant: Some(tenant.clone()), ..query.filter.clone() };
        let totals = Operation::Totals(Totals { from_ms, to_ms, by: query.by, filter });
        match ask(platform, &shard, &totals).await {
            Ok(Outcome::Totals { sums }) => {
                for sums in &sums {
                    report.add_sums(sums, query.by);
                }
            }
            _ => return Err(ApiError::ledger_unavailable()),
        }
    }
    if from + MAX_PAGES < tenants.len() {
        report.next_cursor = Some(encode_cursor(&(from + MAX_PAGES).to_string()));
    }
    if from == 0 {
        servers(platform, gateway, &mut report, from_ms, to_ms).await?;
    }
    Ok(report)
}

/// What our own servers did.
async fn servers<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    report: &mut Report,
    from_ms: u64,
    to_ms: u64,
) -> Result<(), ApiError> {
    let own = gateway.config.origins.iter().filter(|origin| origin.kind == Kind::Moegate);
    for origin in own.take(MAX_PAGES) {
        let periods = Operation::Periods { origin: origin.name.clone(), from_ms, to_ms };
        match ask(platform, &origin_shard(&origin.name), &periods).await {
            Ok(Outcome::Periods(sums)) if sums != crate::ledger::operation::PeriodSums::default() => {
                report.servers.insert(origin.name.clone(), sums);
            }
            Ok(Outcome::Periods(_)) => {}
            _ => return Err(ApiError::ledger_unavailable()),
        }
    }
    Ok(())
}

/// The sums of the records' summaries, without a ledger.
async fn of_records<P: Platform>(platform: &P, query: &Query) -> Result<Report, ApiError> {
    let mut report = Report { period: query.period.clone(), ..Report::default() };
    let mut cursor = query.cursor.clone();
    for _ in 0..MAX_PAGES {
        let page = platform.list_records(&query.prefix(), cursor.as_deref()).await.map_err(|_| {
            ApiError::internal("store_unavailable", "the usage store did not answer; try again in a moment")
        })?;
        for entry in &page.entries {
            match serde_json::from_str::<Summary>(entry.summary.get()) {
                Ok(summary) => report.add(&summary),
                Err(_) => report.foreign_values += 1,
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    report.next_cursor = cursor.as_deref().map(encode_cursor);
    Ok(report)
}
