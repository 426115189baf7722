//! People and programs that sign in.

use crate::column::{flag, id, int, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `users`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0019_users",
    table: "users",
    columns: || {
        vec![
            id(),
            varchar("username", 100),
            text("password_hash"),
            varchar("role", 30),
            opt(text("display_name")),
            or(flag("disabled"), false),
            or(int("token_version"), 1),
            ts("created_at"),
            ts("updated_at"),
            opt(ts("last_login_at")),
        ]
    },
    unique: &[("uq_users_username", &["username"])],
    ..EMPTY
};
