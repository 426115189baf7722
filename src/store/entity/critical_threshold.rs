//! Table `critical_thresholds`.

use sea_orm::entity::prelude::*;

/// One rule that makes a number critical.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "critical_thresholds")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Coding system of the code.
    pub code_system: String,
    /// Code it applies to.
    pub code: String,
    /// What is measured, for people.
    pub analyte: String,
    /// Only for this sex.
    pub sex: Option<String>,
    /// From this age, inclusive.
    pub age_from_days: Option<i32>,
    /// Up to this age, exclusive.
    pub age_to_days: Option<i32>,
    /// Only for `inpatient` or `outpatient`.
    pub patient_class: Option<String>,
    /// UCUM unit of the limits.
    pub unit: Option<String>,
    /// `<` or `<=`.
    pub low_comparator: Option<String>,
    /// Critical below.
    pub low_value: Option<f64>,
    /// `>` or `>=`.
    pub high_comparator: Option<String>,
    /// Critical above.
    pub high_value: Option<f64>,
    /// Any positive finding is critical.
    pub positive: bool,
    /// Switched on.
    pub enabled: bool,
    /// Where the limits come from.
    pub source: String,
    /// Rises with every change; a writer states the version it read.
    pub row_version: i32,
    /// In force from.
    pub valid_from: DateTimeUtc,
    /// In force until; none while in force.
    pub valid_to: Option<DateTimeUtc>,
    /// Username of who set it.
    pub author: String,
    /// When the row was written.
    pub created_at: DateTimeUtc,
}

super::plain_entity!("critical_threshold");
