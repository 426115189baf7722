//! What local codes mean. Promise: every change of an entry is kept with who made it, and a code that is mapped leaves the
//! worklist. Results that are stored already keep the code they were stored with.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, ModelTrait, QueryFilter};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    views::{CodeMapView, UnmappedCodeView},
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, loinc::is_loinc},
    store::{
        codes,
        db::{self, Tx},
        endpoints,
        entity::{code_map, code_map_change, unmapped_code},
    },
};

/// Entries of one request.
const MOST_ENTRIES: usize = 1000;

/// One entry to set, or to remove.
#[derive(Clone)]
pub struct CodeMapEntry {
    /// Whose code; 0 for every laboratory.
    pub lis_endpoint_id: i64,
    /// Code as the laboratory sends it.
    pub local_code: String,
    /// Its coding system; empty for any.
    pub local_system: String,
    /// LOINC it means; `None` removes the entry.
    pub loinc_code: Option<String>,
    /// Name.
    pub name: Option<String>,
}

/// Entries, of one endpoint or of all.
pub async fn list_code_maps(
    ctx: &Ctx,
    caller: &Caller,
    endpoint: Option<i64>,
    request: PageRequest,
) -> Result<Page<CodeMapView>, LabError> {
    access::permit(ctx, caller, Action::ReadCatalogue, "code_map").await?;
    let mut query = code_map::Entity::find();
    if let Some(endpoint) = endpoint {
        query = query.filter(code_map::Column::LisEndpointId.eq(endpoint));
    }
    let page = page::fetch(ctx.db.reader(), query, code_map::Column::Id, request, |row| row.id).await?;
    Ok(page.map(CodeMapView::from))
}

/// Codes that results came under and that nobody has mapped.
pub async fn list_unmapped(
    ctx: &Ctx,
    caller: &Caller,
    endpoint: Option<i64>,
    request: PageRequest,
) -> Result<Page<UnmappedCodeView>, LabError> {
    access::permit(ctx, caller, Action::ReadCatalogue, "unmapped_code").await?;
    let mut query = unmapped_code::Entity::find();
    if let Some(endpoint) = endpoint {
        query = query.filter(unmapped_code::Column::LisEndpointId.eq(endpoint));
    }
    let page = page::fetch(ctx.db.reader(), query, unmapped_code::Column::Id, request, |row| row.id).await?;
    Ok(page.map(UnmappedCodeView::from))
}

/// Sets and removes entries, all or none. Answers the entries as they are now.
pub async fn set_code_maps(
    ctx: &Ctx,
    caller: &Caller,
    entries: Vec<CodeMapEntry>,
) -> Result<Vec<CodeMapView>, LabError> {
    access::permit(ctx, caller, Action::WriteCodeMap, "code_map").await?;
    if entries.is_empty() || entries.len() > MOST_ENTRIES {
        return Err(LabError::invalid("entries", format!("must be 1 to {MOST_ENTRIES} entries")));
    }
    for entry in &entries {
        check(entry)?;
    }
    let tx = db::write(&ctx.db, "set_code_maps").await?;
    let mut now_set = Vec::new();
    for entry in entries {
        if entry.lis_endpoint_id != 0 && endpoints::find(&*tx, entry.lis_endpoint_id).await?.is_none() {
            return Err(LabError::NotFound("LIS endpoint"));
        }
        now_set.extend(set(ctx, &tx, caller, entry).await?.map(CodeMapView::from));
    }
    tx.commit().await?;
    Ok(now_set)
}

fn check(entry: &CodeMapEntry) -> Result<(), LabError> {
    if entry.local_code.trim().is_empty() {
        return Err(LabError::invalid("entries.local_code", "must not be empty"));
    }
    if entry.loinc_code.as_deref().is_some_and(|code| !is_loinc(code)) {
        let message = "must be a LOINC code; the check digit behind the dash tells a slip of the finger";
        return Err(LabError::invalid("entries.loinc_code", message));
    }
    Ok(())
}

async fn set(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    entry: CodeMapEntry,
) -> Result<Option<code_map::Model>, LabError> {
    let (endpoint, system, code) = (entry.lis_endpoint_id, &entry.local_system, &entry.local_code);
    let before = codes::find_map(&**tx, endpoint, system, code).await?;
    let unchanged = before.as_ref().map(|row| (Some(row.loinc_code.as_str()), row.name.as_deref()))
        == Some((entry.loinc_code.as_deref(), entry.name.as_deref()));
    if unchanged || (before.is_none() && entry.loinc_code.is_none()) {
        return Ok(before);
    }
    let version = codes::last_version(&**tx, endpoint, system, code).await? + 1;
    change_row(ctx, caller, &entry, version).insert(&**tx).await?;
    let id = before.as_ref().map(|row| row.id);
    let row = write(ctx, tx, before, &entry).await?;
    if row.is_some() {
        codes::drop_unmapped(tx, endpoint, system, code).await?;
    }
    let resource = Resource { kind: "code_map", id: row.as_ref().map(|row| row.id).or(id), patients: &[] };
    access::wrote(ctx, tx, caller, Action::WriteCodeMap, resource).await?;
    Ok(row)
}

async fn write(
    ctx: &Ctx,
    tx: &Tx,
    before: Option<code_map::Model>,
    entry: &CodeMapEntry,
) -> Result<Option<code_map::Model>, LabError> {
    match (before, &entry.loinc_code) {
        (Some(row), None) => {
            row.delete(&**tx).await?;
            Ok(None)
        }
        (Some(row), Some(loinc)) => {
            let mut row: code_map::ActiveModel = row.into();
            row.loinc_code = Set(loinc.clone());
            row.name = Set(entry.name.clone());
            Ok(Some(row.update(&**tx).await?))
        }
        (None, Some(loinc)) => {
            let row = code_map::ActiveModel {
                lis_endpoint_id: Set(entry.lis_endpoint_id),
                local_code: Set(entry.local_code.clone()),
                local_system: Set(entry.local_system.clone()),
                loinc_code: Set(loinc.clone()),
                name: Set(entry.name.clone()),
                created_at: Set(ctx.clock.now()),
                ..Default::default()
            };
            Ok(Some(row.insert(&**tx).await?))
        }
        (None, None) => Ok(None),
    }
}

fn change_row(
    ctx: &Ctx,
    caller: &Caller,
    entry: &CodeMapEntry,
    version: i32,
) -> code_map_change::ActiveModel {
    code_map_change::ActiveModel {
        lis_endpoint_id: Set(entry.lis_endpoint_id),
        local_code: Set(entry.local_code.clone()),
        local_system: Set(entry.local_system.clone()),
        version: Set(version),
        loinc_code: Set(entry.loinc_code.clone()),
        name: Set(entry.name.clone()),
        changed_by: Set(caller.username.clone()),
        changed_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}
