//! Schema steps of pms, the same for SQLite and PostgreSQL.
//!
//! One step per file, in the order in which foreign keys allow them; every step goes up and down.
//! Steps that have been released are never edited: a change is a new step.
//!
//! Rules the tables share: 64-bit keys, instants in UTC given by the application's clock, foreign
//! keys without cascades, and no nullable column in a unique key. Where a unique key needs a value
//! that can be missing, the column holds a stand-in: endpoint 0, or the empty string.

use sea_orm_migration::prelude::*;

/// Brings `Migrator::up` and its like into scope.
pub use sea_orm_migration::MigratorTrait;

mod add_columns;
mod add_indexes;
mod column;
mod create_table;
mod m0001_patients;
mod m0002_patient_identifiers;
mod m0003_encounters;
mod m0004_lis_endpoints;
mod m0005_hl7_messages;
mod m0006_lab_orders;
mod m0007_lab_order_tests;
mod m0008_lab_order_events;
mod m0009_lab_reports;
mod m0010_lab_results;
mod m0011_critical_alerts;
mod m0012_alert_events;
mod m0013_outbox;
mod m0014_delivery_attempts;
mod m0015_review_items;
mod m0016_critical_thresholds;
mod m0017_test_catalog;
mod m0018_code_maps;
mod m0019_users;
mod m0020_access_logs;
mod m0021_appointments;
mod m0022_unmapped_codes;
mod m0023_code_map_changes;
mod m0024_api_keys;
mod m0025_encounter_events;
mod m0026_patient_merges;
mod m0027_report_surroundings;
mod m0028_result_particulars;
mod m0031_review_decisions;
mod m0032_outside_order_numbers;
mod m0033_order_sources;
mod m0036_endpoint_code_maps;
mod m0040_dead_letters;
mod m0041_message_replays;
mod m0042_application_acks;
mod m0045_order_concerns;
mod m0046_refusals;
mod m0047_worklist_indexes;
mod m0050_feed_hours;
mod m0051_endpoint_alarms;
mod m0052_endpoint_imports;
mod m0053_passed_on_messages;
mod m0054_secured_messages;

/// Takes the steps a database lacks, and takes them back.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_patients::STEP),
            Box::new(m0002_patient_identifiers::STEP),
            Box::new(m0003_encounters::STEP),
            Box::new(m0004_lis_endpoints::STEP),
            Box::new(m0005_hl7_messages::STEP),
            Box::new(m0006_lab_orders::STEP),
            Box::new(m0007_lab_order_tests::STEP),
            Box::new(m0008_lab_order_events::STEP),
            Box::new(m0009_lab_reports::STEP),
            Box::new(m0010_lab_results::STEP),
            Box::new(m0011_critical_alerts::STEP),
            Box::new(m0012_alert_events::STEP),
            Box::new(m0013_outbox::STEP),
            Box::new(m0014_delivery_attempts::STEP),
            Box::new(m0015_review_items::STEP),
            Box::new(m0016_critical_thresholds::STEP),
            Box::new(m0017_test_catalog::STEP),
            Box::new(m0018_code_maps::STEP),
            Box::new(m0019_users::STEP),
            Box::new(m0020_access_logs::STEP),
            Box::new(m0021_appointments::STEP),
            Box::new(m0022_unmapped_codes::STEP),
            Box::new(m0023_code_map_changes::STEP),
            Box::new(m0024_api_keys::STEP),
            Box::new(m0025_encounter_events::STEP),
            Box::new(m0026_patient_merges::STEP),
            Box::new(m0027_report_surroundings::STEP),
            Box::new(m0028_result_particulars::STEP),
            Box::new(m0031_review_decisions::Step),
            Box::new(m0032_outside_order_numbers::STEP),
            Box::new(m0033_order_sources::STEP),
            Box::new(m0036_endpoint_code_maps::STEP),
            Box::new(m0040_dead_letters::Step),
            Box::new(m0041_message_replays::STEP),
            Box::new(m0042_application_acks::Step),
            Box::new(m0045_order_concerns::STEP),
            Box::new(m0046_refusals::STEP),
            Box::new(m0047_worklist_indexes::STEP),
            Box::new(m0050_feed_hours::STEP),
            Box::new(m0051_endpoint_alarms::STEP),
            Box::new(m0052_endpoint_imports::STEP),
            Box::new(m0053_passed_on_messages::STEP),
            Box::new(m0054_secured_messages::STEP),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_in_their_order() {
        let names: Vec<_> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
        let numbers: Vec<Option<u32>> =
            names.iter().map(|name| name.strip_prefix('m')?.split('_').next()?.parse().ok()).collect();
        assert!(numbers.iter().all(Option::is_some), "{names:?}");
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
