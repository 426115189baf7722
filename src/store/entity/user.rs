//! Table `users`.

use sea_orm::entity::prelude::*;

/// Somebody who can sign in.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name to sign in with.
    pub username: String,
    /// Argon2 string.
    pub password_hash: String,
    /// What they may do.
    pub role: String,
    /// Name shown to people.
    pub display_name: Option<String>,
    /// May not sign in; kept because access rows name them.
    pub disabled: bool,
    /// Tokens of an older version are void.
    pub token_version: i32,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// When they last signed in.
    pub last_login_at: Option<DateTimeUtc>,
}

super::plain_entity!("user");
