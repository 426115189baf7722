//! Table `patients`.

use sea_orm::entity::prelude::*;

/// A patient as the charts know them.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "patients")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Medical record number as the home facility gives it; uniqueness is kept by
    /// `patient_identifiers`, which knows the authority.
    pub mrn: String,
    /// Family name.
    pub last_name: String,
    /// First given name.
    pub first_name: String,
    /// Further given names.
    pub middle_name: Option<String>,
    /// Birth date; unknown where the sender left it out.
    pub date_of_birth: Option<Date>,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: String,
    /// Phone number as reported.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Postal address on one line.
    pub address: Option<String>,
    /// Chart opens only with a stated purpose.
    pub restricted: bool,
    /// Surviving chart, when this one was merged away.
    pub merged_into_id: Option<i64>,
    /// Event time of the newest ADT applied, so that an older one cannot overwrite it.
    pub last_event_at: Option<DateTimeUtc>,
    /// Rises with every change; a writer states the version it read.
    pub row_version: i64,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// When a person found that this record should not have been made. It keeps nothing but its history.
    pub withdrawn_at: Option<DateTimeUtc>,
}

super::plain_entity!("patient");
