//! Critical alerts, and the results they are about.

use sea_orm::{
    Condition, ConnectionTrait, DbErr, QueryResult,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};

use super::entity::{critical_alert, lab_result};

/// Statuses in which somebody still has to take an alert on.
pub const WAITING: [&str; 2] = ["open", "escalated"];
/// Statuses in which somebody has.
pub const TAKEN: [&str; 2] = ["acknowledged", "resolved"];
/// SQLite binds at most 32,766 values in one statement.
const PART: usize = 10_000;

/// An alert, under the observation it is about.
pub struct OfKey {
    /// Its id.
    pub id: i64,
    /// Identity of the observation over all its versions.
    pub result_key: String,
    /// Whose chart the observation stands in.
    pub patient_id: i64,
    /// Whether somebody still has to take it on.
    pub waits: bool,
}

/// Whether the observation `owner` (key and patient) has an alert that waits, or, for `taken`, none that waits and
/// one that was taken on.
pub fn of_results_in(owner: Expr, taken: bool) -> Condition {
    let waits = owner.clone().in_subquery(owners(&WAITING));
    if taken {
        Condition::all().add(owner.in_subquery(owners(&TAKEN))).add(waits.not())
    } else {
        Condition::all().add(waits)
    }
}

/// Key and patient of the observations with alerts in a status.
fn owners(statuses: &[&str]) -> SelectStatement {
    let mut select = joined();
    select
        .column((lab_result::Entity, lab_result::Column::ResultKey))
        .column((lab_result::Entity, lab_result::Column::PatientId))
        .and_where(alert(critical_alert::Column::Status).is_in(statuses.iter().copied()));
    select
}

/// The alerts of observations, over all their versions.
pub async fn of_keys(connection: &impl ConnectionTrait, keys: &[&str]) -> Result<Vec<OfKey>, DbErr> {
    let mut found = Vec::new();
    for part in keys.chunks(PART) {
        let mut select = joined();
        select
            .column((critical_alert::Entity, critical_alert::Column::Id))
            .column((critical_alert::Entity, critical_alert::Column::Status))
            .column((lab_result::Entity, lab_result::Column::ResultKey))
            .column((lab_result::Entity, lab_result::Column::PatientId))
            .and_where(
                Expr::col((lab_result::Entity, lab_result::Column::ResultKey)).is_in(part.iter().copied()),
            );
        for row in connection.query_all(&select).await? {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

fn read(row: &QueryResult) -> Result<OfKey, DbErr> {
    let status: String = row.try_get("", "status")?;
    Ok(OfKey {
        id: row.try_get("", "id")?,
        result_key: row.try_get("", "result_key")?,
        patient_id: row.try_get("", "patient_id")?,
        waits: WAITING.contains(&status.as_str()),
    })
}

fn joined() -> SelectStatement {
    let version = Expr::col((lab_result::Entity, lab_result::Column::Id));
    Query::select()
        .from(critical_alert::Entity)
        .inner_join(
            lab_result::Entity,
            version.equals((critical_alert::Entity, critical_alert::Column::LabResultId)),
        )
        .to_owned()
}

fn alert(column: critical_alert::Column) -> Expr {
    Expr::col((critical_alert::Entity, column))
}
