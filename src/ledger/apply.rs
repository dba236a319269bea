//! A batch of operations.

use super::operation::{Operation, Outcome};
use super::sql::{Sql, SqlError};
use super::total::Sums;
use super::{claim, keys, read, reserve, settle, upkeep, versions, wake};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Carries out the operations, one after the other, within a transaction that the platform has begun and commits if this
/// succeeds. Gives an answer for each; an operation that is none of this version's is answered with an empty text.
///
/// # Errors
/// The database failed; the transaction has to be rolled back.
pub async fn apply<S: Sql>(sql: &S, operations: &[impl AsRef<str>]) -> Result<Vec<String>, SqlError> {
    let mut answers = Vec::with_capacity(operations.len());
    let mut sums = Sums::default();
    for operation in operations {
        let answer = match serde_json::from_str(operation.as_ref()) {
            Ok(operation) => {
                serde_json::to_string(&one(sql, operation, &mut sums).await?).map_err(|_| SqlError)?
            }
            Err(_) => String::new(),
        };
        answers.push(answer);
    }
    sums.write(sql).await?;
    Ok(answers)
}

async fn one<S: Sql>(sql: &S, operation: Operation, sums: &mut Sums) -> Result<Outcome, SqlError> {
    // These come in great numbers, and do not read the sums.
    if !matches!(operation, Operation::Reserve(_) | Operation::Settle(_)) {
        sums.write(sql).await?;
    }
    match operation {
        Operation::Reserve(reserve) => reserve::reserve(sql, reserve).await,
        Operation::Settle(settle) => settle::settle(sql, *settle, sums).await,
        Operation::Release { id } => reserve::release(sql, &id).await,
        Operation::Overdue { now_ms, again_ms, limit } => upkeep::overdue(sql, now_ms, again_ms, limit).await,
        Operation::Receipts { origin, receipts } => upkeep::receipts(sql, &origin, receipts, sums).await,
        Operation::ReportPeriods { origin, periods } => upkeep::periods(sql, &origin, &periods).await,
        Operation::Claim(claim) => claim::claim(sql, claim).await,
        Operation::Keep { key, owner, until_ms, reply } => {
            claim::keep(sql, &key, &owner, until_ms, reply).await
        }
        Operation::Forget { key, owner } => claim::forget(sql, &key, &owner).await,
        Operation::Totals(totals) => read::totals(sql, &totals).await,
        Operation::Periods { origin, from_ms, to_ms } => read::periods(sql, &origin, from_ms, to_ms).await,
        Operation::Rows(rows) => read::rows(sql, &rows).await,
        Operation::Request { id } => read::request(sql, &id).await,
        Operation::ForgetUser { user } => upkeep::forget_user(sql, &user).await,
        Operation::Prune { before_id, now_ms } => upkeep::prune(sql, &before_id, now_ms).await,
        Operation::Publish => upkeep::publish(sql).await,
        Operation::Published => upkeep::published(sql).await,
        Operation::PushConfig(push) => versions::push(sql, push).await,
        Operation::ReadConfig { version } => versions::read(sql, version).await,
        Operation::PublishConfig(publish) => versions::publish(sql, &publish).await,
        Operation::Keys(operation) => keys::keys(sql, operation).await,
        Operation::Wake { origin, ask, now_ms } => wake::wake(sql, &origin, ask, now_ms).await,
        Operation::Wakes { origin, limit } => wake::wakes(sql, &origin, limit).await,
    }
}

/// The same for a database that never waits.
///
/// # Errors
/// As for [`apply`].
pub fn apply_now<S: Sql>(sql: &S, operations: &[impl AsRef<str>]) -> Result<Vec<String>, SqlError> {
    now(apply(sql, operations))
}

/// In how many milliseconds a database that never waits wants its upkeep, at the latest; `None` where there is nothing to do.
///
/// # Errors
/// The database failed.
pub fn due_now<S: Sql>(sql: &S) -> Result<Option<u64>, SqlError> {
    now(upkeep::due(sql))
}

fn now<T>(future: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(SqlError),
    }
}
