use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::entity::api_key;

/// A key that a machine hands in messages with. The key itself is not here: it is shown once, when it is made.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// Id.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// Its visible part, which stands after `pms_` in the key.
    pub prefix: String,
    /// The endpoint whose messages it brings; null: a sender that no endpoint names.
    pub lis_endpoint_id: Option<i64>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A new key, with the key itself.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub struct NewApiKeyView {
    /// The key, for the header `x-api-key`. It cannot be shown again.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub kept: ApiKeyView,
}

impl NewApiKeyView {
    pub(in crate::lab) fn new(kept: ApiKeyView, key: String) -> Self {
        Self { key, kept }
    }
}

impl From<api_key::Model> for ApiKeyView {
    fn from(row: api_key::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            lis_endpoint_id: row.lis_endpoint_id,
            created_by: row.created_by,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}
