//! Table `access_logs`.

use sea_orm::entity::prelude::*;

/// One access to a record, granted or denied.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "access_logs")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Who; 0 for the system or nobody signed in. No foreign key: the row outlives the
    /// account.
    pub user_id: i64,
    /// Their name at that time.
    pub username: String,
    /// Their role at that time.
    pub role: String,
    /// What they did.
    pub action: String,
    /// Kind of record.
    pub resource_type: String,
    /// Which record.
    pub resource_id: Option<String>,
    /// Whose chart; no foreign key, so that writing the log never depends on the chart.
    pub patient_id: Option<i64>,
    /// Granted, denied or failed.
    pub outcome: String,
    /// Reason given.
    pub purpose: Option<String>,
    /// Address they came from.
    pub source_ip: Option<String>,
    /// Request it was part of.
    pub request_id: String,
    /// More for the auditor; never clinical content.
    pub detail: Option<String>,
    /// When.
    pub at: DateTimeUtc,
}

super::plain_entity!("access_log");
