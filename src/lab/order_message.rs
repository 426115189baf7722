//! An order as the message a lab gets. Pure: rows in, bytes out.

#[cfg(test)]
pub(super) mod tests;
mod trial;

use chrono::{DateTime, Utc};

use super::{
    endpoint_profile::OrderLayout,
    order_profile::OrderProfile,
    outbound_message::{Encoded, control_id, envelope, in_charset, local, person, visit},
    views::strings,
};
use crate::{
    config::Config,
    domain::event::Placement,
    hl7::{
        datetime::format_dtm,
        orm::{
            DiagnosisOut, Envelope, OrderAction, OrderMessage, OrderShape, ProviderOut, StudyOut, TestOut,
            VisitOut,
        },
    },
    store::entity::{
        encounter, lab_order, lab_order_test, lis_endpoint, patient, patient_identifier, test_catalog,
    },
};

pub(super) use trial::encode_trial;

/// Everything an order message is made of.
pub(super) struct Parts<'a> {
    pub(super) order: &'a lab_order::Model,
    pub(super) tests: &'a [lab_order_test::Model],
    /// The catalogue's entries of these tests, for the names of their LOINC codes.
    pub(super) catalogue: &'a [test_catalog::Model],
    pub(super) patient: &'a patient::Model,
    pub(super) identifiers: &'a [patient_identifier::Model],
    pub(super) encounter: Option<&'a encounter::Model>,
    pub(super) endpoint: &'a lis_endpoint::Model,
}

/// Builds the message. It cannot fail: an order must not be lost because a name has a letter that the lab's character
/// set lacks.
pub(super) fn encode(config: &Config, parts: &Parts<'_>, action: OrderAction, now: DateTime<Utc>) -> Encoded {
    in_its_charset(order_message(config, parts, action, now))
}

fn in_its_charset(mut message: OrderMessage) -> Encoded {
    let (bytes, charset_replaced) = in_charset(message.envelope.charset, |charset| {
        message.envelope.charset = charset;
        message.build()
    });
    let message_type = message.shape.message_type();
    Encoded { message_type, envelope: message.envelope, bytes, charset_replaced }
}

fn order_message(
    config: &Config,
    parts: &Parts<'_>,
    action: OrderAction,
    now: DateTime<Utc>,
) -> OrderMessage {
    let Parts { order, patient, endpoint, .. } = parts;
    let profile = OrderProfile::of(endpoint);
    let provider = ProviderOut::from_text(&order.ordering_provider);
    let envelope =
        envelope(config, (endpoint, &profile), order_control_id(action, now, order.id), local(endpoint, now));
    let diagnoses = strings(&order.diagnosis_codes).into_iter();
    let is_imaging = profile.layout == OrderLayout::Medsynapse23;
    let tests = parts.tests.iter().map(|row| {
        let study = is_imaging.then(|| study(order, row.position, endpoint));
        profile.service(TestOut { study, ..test(row, parts.catalogue) })
    });
    OrderMessage {
        shape: profile.shape,
        visit: parts.encounter.map(|row| visit_of_order(row, &envelope.sending_facility, &provider)),
        placer_namespace: placer_namespace(profile.shape, &envelope),
        envelope,
        patient: person(config, patient, parts.identifiers),
        action,
        placer_group: order.placer_order_number.clone(),
        provider,
        priority: order.priority.clone(),
        entered_at: local(endpoint, order.created_at),
        code_order: profile.code_order,
        tests: tests.collect(),
        diagnoses: diagnoses
            .map(|code| DiagnosisOut { code, text: String::new(), system: profile.diagnosis_system.clone() })
            .collect(),
        note: order.note.clone(),
    }
}

/// IHE wants to know whose number it is. The others were always sent without, and laboratories know them so.
fn placer_namespace(shape: OrderShape, envelope: &Envelope) -> String {
    match shape {
        OrderShape::OrmO01 => String::new(),
        OrderShape::OmlO21 => envelope.sending_application.clone(),
    }
}

/// Where no attending doctor is known, the one who orders stands there.
fn visit_of_order(row: &encounter::Model, facility: &str, provider: &ProviderOut) -> VisitOut {
    let visit = visit(row, facility);
    if row.attending_provider.is_some() {
        return visit;
    }
    VisitOut { attending: provider.clone(), ..visit }
}

fn test(row: &lab_order_test::Model, catalogue: &[test_catalog::Model]) -> TestOut {
    // Only the name of the very code that is sent: the catalogue may have changed since the order was placed.
    let entry =
        catalogue.iter().find(|entry| entry.code == row.test_code && entry.loinc_code == row.loinc_code);
    TestOut {
        placer: row.placer_order_number.clone(),
        filler: row.filler_order_number.clone().unwrap_or_default(),
        code: row.test_code.clone(),
        text: row.test_name.clone().unwrap_or_default(),
        system: row.code_system.clone(),
        loinc: row.loinc_code.clone().unwrap_or_default(),
        loinc_text: entry.and_then(|entry| entry.loinc_name.clone()).unwrap_or_default(),
        study: None,
    }
}

/// The study of a test; an order that says nothing of imaging has none, and its number stands for the accession number.
fn study(order: &lab_order::Model, position: i32, endpoint: &lis_endpoint::Model) -> StudyOut {
    let Some(study) = Placement::study(order.imaging.as_ref(), position) else { return StudyOut::default() };
    let starts_at = study.scheduled_at.map(|at| format_dtm(&local(endpoint, at)));
    StudyOut {
        accession: study.accession_number.unwrap_or_default(),
        station: study.station.unwrap_or_default(),
        location: study.location.unwrap_or_default(),
        ae_title: study.ae_title.unwrap_or_default(),
        modality: study.modality.unwrap_or_default(),
        starts_at: starts_at.or(study.scheduled_at_text).unwrap_or_default(),
    }
}

fn order_control_id(action: OrderAction, now: DateTime<Utc>, order: i64) -> String {
    let letter = match action {
        OrderAction::New => 'O',
        OrderAction::Cancel => 'C',
    };
    control_id(letter, now, order.unsigned_abs())
}
