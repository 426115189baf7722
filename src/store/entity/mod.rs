//! Rows of the database, one file per table, named in the singular.
//!
//! No relation is declared: what is needed is loaded by one query per kind, never row by row, so
//! lazy relations would only invite the other way. The foreign keys stand in the migrations.
//!
//! A row prints as its table and id and nothing else, because charts must not reach logs through a
//! `{:?}`. The `ActiveModel` that SeaORM generates has a derived `Debug` that shows what is set:
//! never format one.

/// What every entity needs besides its model: no relations, no hooks, and a `Debug` without content.
macro_rules! plain_entity {
    ($name:literal) => {
        /// None: rows are joined by the queries that need it.
        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        impl std::fmt::Debug for Model {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($name, "::Model({})"), self.id)
            }
        }
    };
}
use plain_entity;

pub mod access_log;
pub mod alert_event;
pub mod api_key;
pub mod appointment;
pub mod code_map;
pub mod code_map_change;
pub mod critical_alert;
pub mod critical_threshold;
pub mod delivery_attempt;
pub mod encounter;
pub mod endpoint_alarm;
pub mod feed_hour;
pub mod hl7_message;
pub mod lab_order;
pub mod lab_order_event;
pub mod lab_order_test;
pub mod lab_report;
pub mod lab_result;
pub mod lis_endpoint;
pub mod message_replay;
pub mod order_concern;
pub mod outbox;
pub mod patient;
pub mod patient_identifier;
pub mod patient_merge;
pub mod review_item;
pub mod test_catalog;
pub mod unmapped_code;
pub mod user;
