//! Table `critical_alerts`.

use sea_orm::entity::prelude::*;

/// A critical value somebody has to hear about.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "critical_alerts")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// `result:ID`, or `message:ID:N` for an observation held in review; one alert per
    /// source.
    pub source_ref: String,
    /// Result it is about.
    pub lab_result_id: Option<i64>,
    /// Review item that holds the observation; no foreign key, since review items are
    /// resolved apart.
    pub review_item_id: Option<i64>,
    /// Message it came in.
    pub hl7_message_id: Option<i64>,
    /// Chart, once known.
    pub patient_id: Option<i64>,
    /// Who the message said it is, while no chart is known.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub claimed_patient: Option<Json>,
    /// Order it answers.
    pub lab_order_id: Option<i64>,
    /// Code of the observation.
    pub test_code: String,
    /// Name of the observation.
    pub test_name: String,
    /// Value as shown.
    pub value: Option<String>,
    /// Its units.
    pub units: Option<String>,
    /// Flag of the laboratory.
    pub abnormal_flag: Option<String>,
    /// Its reference range.
    pub reference_range: Option<String>,
    /// Every reason it is critical.
    #[sea_orm(column_type = "JsonBinary")]
    pub reasons: Json,
    /// Moves only through the alert state machine.
    pub status: String,
    /// When it was raised.
    pub raised_at: DateTimeUtc,
    /// When the observation was made.
    pub result_time: Option<DateTimeUtc>,
    /// Username of who took it.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_at: Option<DateTimeUtc>,
    /// What they did.
    pub note: Option<String>,
    /// Who was told and read the value back.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub read_back: Option<Json>,
    /// Steps taken so far.
    #[sea_orm(column_type = "JsonBinary")]
    pub escalations: Json,
    /// Deadline of the next step.
    pub escalate_at: Option<DateTimeUtc>,
    /// Steps taken so far, counted.
    pub escalation_level: i32,
    /// What happened to the result afterwards: corrections, retractions.
    #[sea_orm(column_type = "JsonBinary")]
    pub annotations: Json,
    /// When it was closed.
    pub resolved_at: Option<DateTimeUtc>,
}

super::plain_entity!("critical_alert");
