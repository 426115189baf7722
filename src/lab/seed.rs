//! What a new installation starts with: the published critical limits, the eight common tests, the usual local codes,
//! and the first administrator. Tables that hold anything are left as they are.

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, QuerySelect};
use serde_json::json;

use super::error::LabError;
use crate::{
    config::Secret,
    context::Ctx,
    domain::{
        access::Role,
        catalogue::{LOCAL_CODES, TESTS},
        thresholds::{self, ThresholdRule},
    },
    security::passwords,
    store::{
        db::{self, Tx},
        entity::{code_map, critical_threshold, test_catalog, user},
    },
};

/// Fills the tables of a new installation.
pub async fn seed(ctx: &Ctx) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "seed").await?;
    if is_empty::<critical_threshold::Entity>(&*tx).await? {
        let rows = thresholds::seed().into_iter().map(|rule| threshold_row(ctx, rule));
        critical_threshold::Entity::insert_many(rows).exec_without_returning(&*tx).await?;
    }
    if is_empty::<test_catalog::Entity>(&*tx).await? {
        seed_catalogue(ctx, &tx).await?;
    }
    if is_empty::<code_map::Entity>(&*tx).await? {
        seed_codes(ctx, &tx).await?;
    }
    tx.commit().await?;
    first_administrator(ctx).await
}

async fn is_empty<E: EntityTrait>(connection: &impl ConnectionTrait) -> Result<bool, DbErr>
where
    E::Model: Send + Sync,
{
    Ok(E::find().limit(1).one(connection).await?.is_none())
}

fn threshold_row(ctx: &Ctx, rule: ThresholdRule) -> critical_threshold::ActiveModel {
    let now = ctx.clock.now();
    let days = |days: Option<i64>| days.and_then(|days| i32::try_from(days).ok());
    critical_threshold::ActiveModel {
        code_system: Set(rule.code_system),
        code: Set(rule.code),
        analyte: Set(rule.analyte),
        sex: Set(rule.sex.map(|sex| sex.to_string())),
        age_from_days: Set(days(rule.age_from_days)),
        age_to_days: Set(days(rule.age_to_days)),
        patient_class: Set(rule.patient_class.map(|class| class.to_string())),
        unit: Set(rule.unit),
        low_comparator: Set(rule.low.map(|limit| limit.comparator.to_string())),
        low_value: Set(rule.low.map(|limit| limit.value)),
        high_comparator: Set(rule.high.map(|limit| limit.comparator.to_string())),
        high_value: Set(rule.high.map(|limit| limit.value)),
        positive: Set(rule.positive),
        enabled: Set(rule.enabled),
        source: Set(rule.source),
        row_version: Set(1),
        valid_from: Set(now),
        valid_to: Set(None),
        author: Set("seed".into()),
        created_at: Set(now),
        ..Default::default()
    }
}

async fn seed_catalogue(ctx: &Ctx, tx: &Tx) -> Result<(), DbErr> {
    let now = ctx.clock.now();
    let rows = TESTS.iter().map(|test| test_catalog::ActiveModel {
        code: Set(test.code.to_owned()),
        name: Set(test.name.to_owned()),
        loinc_code: Set(Some(test.loinc.to_owned())),
        loinc_name: Set(Some(test.loinc_name.to_owned())),
        members: Set(json!(test.members)),
        active: Set(true),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    });
    test_catalog::Entity::insert_many(rows).exec_without_returning(&**tx).await.map(|_| ())
}

async fn seed_codes(ctx: &Ctx, tx: &Tx) -> Result<(), DbErr> {
    let now = ctx.clock.now();
    let rows = LOCAL_CODES.iter().map(|code| code_map::ActiveModel {
        lis_endpoint_id: Set(0),
        local_code: Set(code.code.to_owned()),
        local_system: Set(String::new()),
        loinc_code: Set(code.loinc.to_owned()),
        name: Set(Some(code.name.to_owned())),
        created_at: Set(now),
        ..Default::default()
    });
    code_map::Entity::insert_many(rows).exec_without_returning(&**tx).await.map(|_| ())
}

/// Makes the administrator that the configuration names, when there is no user at all.
async fn first_administrator(ctx: &Ctx) -> Result<(), LabError> {
    let Some((username, password)) = ctx.config.admin.clone() else { return Ok(()) };
    if is_empty::<user::Entity>(ctx.db.reader()).await? {
        add_user(ctx, &username, password, Role::Admin).await?;
    }
    Ok(())
}

/// Adds a user. Errors: the name is taken.
pub async fn add_user(ctx: &Ctx, username: &str, password: Secret, role: Role) -> Result<(), LabError> {
    let hash = passwords::hash(password).await?;
    let now = ctx.clock.now();
    let tx = db::write(&ctx.db, "add_user").await?;
    let row = user::ActiveModel {
        username: Set(username.to_owned()),
        password_hash: Set(hash),
        role: Set(role.to_string()),
        display_name: Set(None),
        disabled: Set(false),
        token_version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        last_login_at: Set(None),
        ..Default::default()
    };
    user::Entity::insert(row).exec_without_returning(&*tx).await?;
    tx.commit().await?;
    Ok(())
}
