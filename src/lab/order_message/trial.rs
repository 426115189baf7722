//! An order that is none: what a laboratory is sent to see whether it takes orders from us. Pure.

use chrono::{DateTime, NaiveDate, Utc};

use super::{in_its_charset, placer_namespace};
use crate::{
    config::Config,
    hl7::orm::{OrderAction, OrderMessage, PersonOut, ProviderOut, TestOut},
    lab::{
        order_profile::OrderProfile,
        outbound_message::{Encoded, control_id, envelope, local},
    },
    store::entity::{lis_endpoint, test_catalog},
};

/// For whoever reads it at the laboratory, should its system not know MSH-11.
const NOTE: &str = "Connection test. There is no such patient: do not collect, do not report.";

/// Builds it in the form that the endpoint's orders have, with MSH-11 `T`, for nobody. `number`: a random one of 48 bits.
/// Orders have the number of their row there; this one has none, and its numbers must be no order's.
pub(in crate::lab) fn encode_trial(
    config: &Config,
    endpoint: &lis_endpoint::Model,
    catalogue: &[test_catalog::Model],
    (now, number): (DateTime<Utc>, u64),
) -> Encoded {
    let profile = OrderProfile::of(endpoint);
    let id = control_id('T', now, number);
    let mut envelope = envelope(config, (endpoint, &profile), id.clone(), local(endpoint, now));
    "T".clone_into(&mut envelope.processing_id);
    let test = TestOut { placer: format!("{id}-1"), ..first_test(&profile, catalogue) };
    in_its_charset(OrderMessage {
        shape: profile.shape,
        visit: None,
        placer_namespace: placer_namespace(profile.shape, &envelope),
        envelope,
        patient: nobody(config),
        action: OrderAction::New,
        placer_group: id,
        provider: ProviderOut::from_text("PMS TEST"),
        priority: "R".into(),
        entered_at: local(endpoint, now),
        code_order: profile.code_order,
        tests: vec![profile.service(test)],
        diagnoses: Vec::new(),
        note: Some(NOTE.into()),
    })
}

/// Nobody that could be mistaken for somebody.
fn nobody(config: &Config) -> PersonOut {
    PersonOut {
        mrn: "PMS-TEST".into(),
        authority: config.sending_facility.clone(),
        family: "TEST".into(),
        given: "PMS".into(),
        middle: String::new(),
        // Many laboratories want one.
        birth_date: NaiveDate::from_ymd_opt(1900, 1, 1),
        sex: "U".into(),
    }
}

/// A test that the laboratory has a code of its own for, else the first one that can be ordered.
fn first_test(profile: &OrderProfile, catalogue: &[test_catalog::Model]) -> TestOut {
    let named = |code: &str| catalogue.iter().find(|entry| entry.code == code);
    let entry = profile.first_code().map_or_else(|| catalogue.iter().find(|entry| entry.active), named);
    let of_entry = entry.map(|entry| TestOut {
        code: entry.code.clone(),
        text: entry.name.clone(),
        system: "L".into(),
        loinc: entry.loinc_code.clone().unwrap_or_default(),
        loinc_text: entry.loinc_name.clone().unwrap_or_default(),
        ..TestOut::default()
    });
    let code = profile.first_code().unwrap_or("TEST");
    of_entry.unwrap_or_else(|| TestOut { code: code.to_owned(), system: "L".into(), ..TestOut::default() })
}
