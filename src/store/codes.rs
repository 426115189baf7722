//! Local codes of laboratories: the maps to LOINC, what they said before, and what is not mapped.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::OnConflict,
};

use super::{
    db::Tx,
    entity::{code_map, code_map_change, unmapped_code},
};

/// Characters of a local code and of its coding system that their columns hold.
const LONGEST_CODE: usize = 100;
const LONGEST_SYSTEM: usize = 50;

/// A code that leads to no LOINC.
#[derive(Clone)]
pub struct Unmapped {
    /// Whose code.
    pub endpoint: i64,
    /// Its coding system; empty when none is named.
    pub system: String,
    /// The code.
    pub code: String,
    /// Name that came with it.
    pub name: Option<String>,
    /// Units that came with it.
    pub units: Option<String>,
    /// The message it came in.
    pub message: i64,
}

impl Unmapped {
    /// `None` for what is no code: nothing, or a text that was put where a code belongs.
    pub fn new(endpoint: i64, system: &str, code: &str, message: i64) -> Option<Self> {
        let length = code.chars().count();
        let fits = (1..=LONGEST_CODE).contains(&length) && system.chars().count() <= LONGEST_SYSTEM;
        let (system, code) = (system.to_owned(), code.to_owned());
        fits.then_some(Self { endpoint, system, code, name: None, units: None, message })
    }
}

/// Puts a code on the worklist, or says that it was seen again.
pub async fn note_unmapped(tx: &Tx, code: &Unmapped, now: DateTime<Utc>) -> Result<(), DbErr> {
    use unmapped_code::Column as C;
    let row = unmapped_code::ActiveModel {
        lis_endpoint_id: Set(code.endpoint),
        local_code: Set(code.code.clone()),
        local_system: Set(code.system.clone()),
        name: Set(code.name.clone()),
        units: Set(code.units.clone()),
        hl7_message_id: Set(code.message),
        first_seen_at: Set(now),
        last_seen_at: Set(now),
        ..Default::default()
    };
    let key = OnConflict::columns([C::LisEndpointId, C::LocalSystem, C::LocalCode])
        .update_columns([C::Name, C::Units, C::Hl7MessageId, C::LastSeenAt])
        .to_owned();
    unmapped_code::Entity::insert(row).on_conflict(key).exec_without_returning(&**tx).await.map(|_| ())
}

/// Takes a code off the worklist. A map of endpoint 0 holds for every laboratory, an empty system for every system.
pub async fn drop_unmapped(tx: &Tx, endpoint: i64, system: &str, code: &str) -> Result<(), DbErr> {
    use unmapped_code::Column as C;
    let mut which = Condition::all().add(C::LocalCode.eq(code));
    if endpoint != 0 {
        which = which.add(C::LisEndpointId.eq(endpoint));
    }
    if !system.is_empty() {
        which = which.add(C::LocalSystem.eq(system));
    }
    unmapped_code::Entity::delete_many().filter(which).exec(&**tx).await.map(|_| ())
}

/// One entry of the maps.
pub async fn find_map(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    system: &str,
    code: &str,
) -> Result<Option<code_map::Model>, DbErr> {
    use code_map::Column as C;
    code_map::Entity::find()
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::LocalSystem.eq(system))
        .filter(C::LocalCode.eq(code))
        .one(connection)
        .await
}

/// The highest version written of an entry; 0 for one that never changed.
pub async fn last_version(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    system: &str,
    code: &str,
) -> Result<i32, DbErr> {
    use code_map_change::Column as C;
    let last = code_map_change::Entity::find()
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::LocalSystem.eq(system))
        .filter(C::LocalCode.eq(code))
        .order_by_desc(C::Version)
        .one(connection)
        .await?;
    Ok(last.map_or(0, |row| row.version))
}
