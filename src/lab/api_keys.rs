//! Keys of machines that hand in messages by HTTP. Promise: a key is shown once and kept as a hash; one that was revoked,
//! or whose endpoint is out of use, opens nothing from the next request on.

use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    access::{self, Resource},
    endpoint_directory::Directory,
    error::LabError,
    page::{self, Page, PageRequest},
    sign_in::Origin,
    submit_hl7::Submitter,
    views::{ApiKeyView, NewApiKeyView},
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::{Action, Role},
        ids::EndpointId,
    },
    security::api_keys::{generate, matches, prefix_of},
    store::{
        db, endpoints,
        entity::api_key::{ActiveModel, Column, Entity, Model},
    },
};

/// The last use is written down no more often than this: a feed would write the row with every message.
const USE_NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Makes a key, bound to an endpoint or to none. Errors: `Invalid` when the endpoint does not exist.
pub async fn create_api_key(
    ctx: &Ctx,
    caller: &Caller,
    name: String,
    lis_endpoint_id: Option<i64>,
) -> Result<NewApiKeyView, LabError> {
    access::permit(ctx, caller, Action::ManageApiKeys, "api_key").await?;
    let new = generate()?;
    let tx = db::write(&ctx.db, "create_api_key").await?;
    if let Some(id) = lis_endpoint_id
        && endpoints::find(&*tx, id).await?.is_none()
    {
        return Err(LabError::invalid("lis_endpoint_id", "there is no such LIS endpoint"));
    }
    let row = ActiveModel {
        name: Set(name),
        prefix: Set(new.prefix),
        key_hash: Set(new.hash),
        lis_endpoint_id: Set(lis_endpoint_id),
        created_by: Set(caller.username.clone()),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    };
    let row = row.insert(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::ManageApiKeys, Resource::one("api_key", row.id, &[])).await?;
    tx.commit().await?;
    Ok(NewApiKeyView::new(row.into(), new.key))
}

/// The keys in use.
pub async fn list_api_keys(
    ctx: &Ctx,
    caller: &Caller,
    request: PageRequest,
) -> Result<Page<ApiKeyView>, LabError> {
    access::permit(ctx, caller, Action::ManageApiKeys, "api_key").await?;
    let query = Entity::find().filter(Column::RevokedAt.is_null());
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    Ok(page.map(ApiKeyView::from))
}

/// Ends a key. Its row stays, because access rows name it.
pub async fn revoke_api_key(ctx: &Ctx, caller: &Caller, id: i64) -> Result<(), LabError> {
    access::permit(ctx, caller, Action::ManageApiKeys, "api_key").await?;
    let tx = db::write(&ctx.db, "revoke_api_key").await?;
    let row = Entity::find_by_id(id).filter(Column::RevokedAt.is_null()).one(&*tx).await?;
    let mut row: ActiveModel = row.ok_or(LabError::NotFound("API key"))?.into();
    row.revoked_at = Set(Some(ctx.clock.now()));
    row.update(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::ManageApiKeys, Resource::one("api_key", id, &[])).await?;
    tx.commit().await?;
    Ok(())
}

/// Who hands in with a key. `None`: it opens nothing.
pub async fn submitter_of(
    ctx: &Ctx,
    directory: &Directory,
    origin: &Origin,
    key: &str,
) -> Result<Option<Submitter>, LabError> {
    let Some(prefix) = prefix_of(key) else { return Ok(None) };
    let query = Entity::find().filter(Column::Prefix.eq(prefix)).filter(Column::RevokedAt.is_null());
    let Some(row) = query.one(ctx.db.reader()).await?.filter(|row| matches(key, &row.key_hash)) else {
        return Ok(None);
    };
    let endpoint = EndpointId::new(row.lis_endpoint_id.unwrap_or(0));
    if !directory.hears(ctx, endpoint).await? {
        return Ok(None);
    }
    let caller = caller_of(&row, origin);
    note_use(ctx, row).await?;
    Ok(Some(Submitter { caller, endpoint, by_key: true }))
}

/// Writes down a try with a key that opens nothing.
pub async fn refused(ctx: &Ctx, origin: &Origin) -> Result<(), LabError> {
    let nobody = Caller { username: String::new(), ..machine(origin) };
    let tx = db::write(&ctx.db, "refuse_api_key").await?;
    access::tried(ctx, &tx, &nobody, Action::SubmitHl7, "denied").await?;
    tx.commit().await?;
    Ok(())
}

fn caller_of(row: &Model, origin: &Origin) -> Caller {
    // Names may repeat, prefixes do not; the column takes 100 characters.
    let name: String = row.name.chars().take(80).collect();
    Caller { username: format!("{name} ({})", row.prefix), ..machine(origin) }
}

fn machine(origin: &Origin) -> Caller {
    Caller {
        user_id: 0,
        username: String::new(),
        role: Role::Service,
        request_id: origin.request_id.clone(),
        ip: origin.ip,
    }
}

async fn note_use(ctx: &Ctx, row: Model) -> Result<(), LabError> {
    let now = ctx.clock.now();
    if row.last_used_at.is_some_and(|at| now - at < USE_NOTED_EVERY) {
        return Ok(());
    }
    let tx = db::write(&ctx.db, "note_api_key").await?;
    let mut change: ActiveModel = row.into();
    change.last_used_at = Set(Some(now));
    change.update(&*tx).await?;
    tx.commit().await?;
    Ok(())
}
