//! Results: every version of every observation.

use crate::column::{big, blob, double, flag, id, int, json, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `lab_results`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0010_lab_results",
    table: "lab_results",
    columns: || {
        vec![
            id(),
            big("patient_id"),
            opt(big("lab_order_id")),
            opt(big("lab_report_id")),
            opt(big("encounter_id")),
            or(big("lis_endpoint_id"), 0_i64),
            varchar("result_key", 64),
            int("version"),
            flag("is_current"),
            text("test_code"),
            text("test_name"),
            opt(text("code_system")),
            opt(varchar("loinc_code", 20)),
            opt(text("sub_id")),
            varchar("value_type", 10),
            opt(text("value")),
            opt(text("raw_value")),
            opt(double("numeric_value")),
            opt(varchar("comparator", 4)),
            opt(text("units")),
            opt(text("reference_range")),
            opt(text("abnormal_flag")),
            json("flags"),
            opt(flag("is_abnormal")),
            flag("is_critical"),
            varchar("threshold_status", 20),
            json("critical_reasons"),
            varchar("result_status", 10),
            opt(varchar("reported_status", 10)),
            or(flag("is_correction"), false),
            or(flag("retracted"), false),
            opt(text("sending_facility")),
            opt(text("filler_order_number")),
            opt(text("placer_order_number")),
            opt(ts("observation_date")),
            opt(text("observation_date_text")),
            opt(varchar("observation_date_precision", 10)),
            or(flag("zone_assumed"), false),
            opt(ts("status_changed_at")),
            opt(ts("message_time")),
            opt(text("performing_lab")),
            opt(text("producer")),
            json("notes"),
            json("warnings"),
            opt(text("document_type")),
            opt(blob("document")),
            ts("received_at"),
            opt(big("hl7_message_id")),
            opt(text("reviewed_by")),
            opt(ts("reviewed_at")),
            opt(text("created_by")),
        ]
    },
    foreign_keys: &[
        ("patient_id", "patients"),
        ("lab_order_id", "lab_orders"),
        ("lab_report_id", "lab_reports"),
        ("encounter_id", "encounters"),
        // Its report holds the message and the endpoint, with foreign keys: checking both again for every result of a
        // report would cost a third of the insert.
    ],
    unique: &[("uq_lab_results_version", &["result_key", "version"])],
    indexes: &[&["patient_id", "is_current", "id"], &["hl7_message_id"]],
    partial: &[(&["lab_order_id"], "lab_order_id IS NOT NULL"), (&["is_critical", "id"], "is_critical")],
    ..EMPTY
};
