//! Table `api_keys`.

use sea_orm::entity::prelude::*;

/// A key that a machine hands in messages with.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name shown to people.
    pub name: String,
    /// Visible part of the key.
    pub prefix: String,
    /// SHA-256 of the whole key, in hex.
    pub key_hash: String,
    /// Peer whose messages it brings; none: read like those of a loopback sender.
    pub lis_endpoint_id: Option<i64>,
    /// Who made it.
    pub created_by: String,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When it last opened the door, to the minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it ended; the row stays because access rows name it.
    pub revoked_at: Option<DateTimeUtc>,
}

super::plain_entity!("api_key");
