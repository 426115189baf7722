//! What the clinic has set, as the rules look at it.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use crate::{
    context::Ctx,
    domain::{
        critical::CriticalFlags,
        ids::EndpointId,
        intake::Rules,
        thresholds::{Limit, ThresholdRule},
    },
    store::entity::{code_map, critical_threshold},
};

/// Loads thresholds in force and the code maps.
pub async fn load(ctx: &Ctx, connection: &impl ConnectionTrait) -> Result<Rules, DbErr> {
    let now = ctx.clock.now();
    let thresholds = in_force(connection, now).await?.into_iter().filter_map(rule).collect();
    let codes = code_map::Entity::find().all(connection).await?.into_iter().map(|row| {
        let key = (
            EndpointId::new(row.lis_endpoint_id),
            row.local_system.to_uppercase(),
            row.local_code.to_uppercase(),
        );
        (key, row.loinc_code)
    });
    Ok(Rules {
        thresholds,
        critical_flags: CriticalFlags::default(),
        codes: codes.collect(),
        local_authority: ctx.config.sending_facility.clone(),
    })
}

async fn in_force(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
) -> Result<Vec<critical_threshold::Model>, DbErr> {
    use critical_threshold::Column::{ValidFrom, ValidTo};
    critical_threshold::Entity::find()
        .filter(ValidFrom.lte(now))
        .filter(Condition::any().add(ValidTo.is_null()).add(ValidTo.gt(now)))
        .all(connection)
        .await
}

/// A row as a rule. A row that no longer reads as one is left out rather than guessed at; writers check before.
fn rule(row: critical_threshold::Model) -> Option<ThresholdRule> {
    Some(ThresholdRule {
        id: row.id,
        version: row.row_version,
        code_system: row.code_system,
        code: row.code,
        analyte: row.analyte,
        sex: row.sex.map(|sex| sex.parse()).transpose().ok()?,
        age_from_days: row.age_from_days.map(i64::from),
        age_to_days: row.age_to_days.map(i64::from),
        patient_class: row.patient_class.map(|class| class.parse()).transpose().ok()?,
        unit: row.unit,
        low: limit(row.low_comparator, row.low_value)?,
        high: limit(row.high_comparator, row.high_value)?,
        positive: row.positive,
        enabled: row.enabled,
        source: row.source,
    })
}

/// `Some(None)`: no limit on this side; `None`: unreadable.
#[allow(clippy::option_option, reason = "absent and unreadable are two things here")]
fn limit(comparator: Option<String>, value: Option<f64>) -> Option<Option<Limit>> {
    let Some(value) = value else { return Some(None) };
    let comparator = comparator?.parse().ok()?;
    Some(Some(Limit { comparator, value }))
}
