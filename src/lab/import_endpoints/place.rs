//! Which endpoint an entry of a file is about. Pure.

use std::collections::HashSet;

use serde_json::Value;

use super::entries::Entry;
use crate::store::entity::lis_endpoint;

/// Where an entry belongs.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// There is no such endpoint.
    Nowhere,
    /// Here.
    At(&'a lis_endpoint::Model),
    /// To one that was deleted, and the entry says nothing new.
    Deleted,
    /// Its name is by now that of an endpoint that another entry made.
    Taken,
}

/// The entry that an endpoint was last imported from; `null` when it was not.
pub(super) fn entry_of(row: &lis_endpoint::Model) -> Value {
    row.imported_entry.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Finds the endpoint that was imported under the entry's name, whatever it is called by now; else the one that has the
/// name. `names`: all names in the file.
pub(super) fn place<'a>(rows: &'a [lis_endpoint::Model], names: &HashSet<&str>, entry: &Entry) -> Place<'a> {
    let imported_as = |row: &lis_endpoint::Model| entry_of(row)["name"].as_str().map(str::to_owned);
    let is_its = |row: &&lis_endpoint::Model| imported_as(row).as_deref() == Some(entry.name());
    let in_use = || rows.iter().filter(|row| row.deleted_at.is_none());
    if let Some(row) = in_use().find(is_its) {
        return Place::At(row);
    }
    if let Some(row) = in_use().find(|row| row.name == entry.name()) {
        let of_another = imported_as(row).is_some_and(|name| names.contains(name.as_str()));
        return if of_another { Place::Taken } else { Place::At(row) };
    }
    let deleted = rows.iter().rev().find(is_its);
    match deleted {
        Some(row) if entry.differs_from(&entry_of(row)).is_empty() => Place::Deleted,
        _ => Place::Nowhere,
    }
}
