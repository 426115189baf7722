//! Decisions as rows.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};

use super::Ack;
use crate::{
    domain::{
        critical::{Abnormality, Assessment, abnormality},
        intake::{Decision, NewAlert, NewReport, NewResult, Place, Review},
        matching::PatientClaim,
        reconcile::refusal,
        report::{Observation, Report, ReportedMessage},
        result::Effect,
    },
    hl7::{Fault, Warning},
    lab::arrival::{Arrival, Content},
    security::tls::Secured,
    store::entity::{alert_event, critical_alert, hl7_message, lab_report, lab_result, review_item},
};

/// What a message row says of what became of the message.
pub(super) struct Filed<'a> {
    /// Its status.
    pub(super) status: &'static str,
    /// The chart it is part of.
    pub(super) patient: Option<i64>,
    /// The order it concerns.
    pub(super) order: Option<i64>,
    /// Observations that became result rows.
    pub(super) stored: usize,
    /// Observations that wait for a person.
    pub(super) in_review: usize,
    /// Words for what was lenient or odd in filing it.
    pub(super) warnings: &'a [String],
    /// Whether its control id was used before, with other content.
    pub(super) reused_id: bool,
}

impl<'a> Filed<'a> {
    /// As decided.
    pub(super) fn of(arrival: &Arrival, decision: &'a Decision, reused_id: bool, ack: &Ack) -> Self {
        // A message that also holds somebody else's results is no part of this patient's chart.
        let owner = match decision.patients.as_slice() {
            [first, others @ ..]
                if decision.reviews.is_empty() && others.iter().all(|other| other == first) =>
            {
                Some(first.get())
            }
            _ => None,
        };
        Self {
            status: if ack.faults.is_empty() {
                status(arrival, !decision.reviews.is_empty())
            } else {
                "refused"
            },
            patient: owner,
            order: decision.orders.first().map(|moved| moved.order.get()),
            stored: decision.results.len(),
            in_review: decision.observations_in_review(),
            warnings: &decision.warnings,
            reused_id,
        }
    }
}

/// A message with its outcome and its answer.
pub(super) fn message(
    arrival: &Arrival,
    id: Option<i64>,
    filed: &Filed<'_>,
    ack: &Ack,
    now: DateTime<Utc>,
) -> hl7_message::ActiveModel {
    let header = &arrival.header;
    let (tls_version, peer_certificate) =
        arrival.peer.and_then(|peer| peer.secured).map(Secured::kept).unzip();
    let hd = |hd: &crate::hl7::datatypes::Hd| hd.key().map(str::to_owned);
    hl7_message::ActiveModel {
        id: id.map_or(sea_orm::ActiveValue::NotSet, Set),
        message_uid: Set(arrival.uid.clone()),
        direction: Set("inbound".into()),
        lis_endpoint_id: Set(arrival.profile.id.get()),
        message_type: Set(cut(header.message_code.as_deref().unwrap_or("?"), 20)),
        trigger_event: Set(header.trigger.as_deref().map(|text| cut(text, 20))),
        message_structure: Set(header.structure.as_deref().map(|text| cut(text, 30))),
        hl7_version: Set(header.version.as_deref().map(|text| cut(text, 20))),
        message_control_id: Set(arrival.control_id().to_owned()),
        processing_id: Set(header.processing_id.as_deref().map(|text| cut(text, 10))),
        sending_application: Set(hd(&header.sending_application)),
        sending_facility: Set(hd(&header.sending_facility)),
        receiving_application: Set(hd(&header.receiving_application)),
        receiving_facility: Set(hd(&header.receiving_facility)),
        raw_message: Set(arrival.sealed.clone()),
        message_hash: Set(arrival.hash.clone()),
        size_bytes: Set(arrival.size as i64),
        charset: Set(arrival.charset.map(|name| cut(name, 30))),
        status: Set(filed.status.into()),
        ack_status: Set(ack.code.map(str::to_owned)),
        ack_bytes: Set((!ack.frames.is_empty()).then(|| super::save::join_frames(&ack.frames))),
        ack_control_id: Set(ack.code.map(|_| arrival.reply_id().to_owned())),
        acked_at: Set(ack.code.map(|_| now)),
        ack_latency_us: Set(ack.code.and_then(|_| (now - arrival.received_at).num_microseconds())),
        source_ip: Set(arrival.peer.map(|peer| peer.address.to_string())),
        tls_version: Set(tls_version),
        peer_certificate: Set(peer_certificate.flatten()),
        patient_id: Set(filed.patient),
        lab_order_id: Set(filed.order),
        original_message_id: Set(None),
        error_detail: Set(error_detail(&ack.faults)),
        warnings: Set(warnings(arrival, filed)),
        observations_received: Set(arrival.observations as i32),
        observations_stored: Set(filed.stored as i32),
        observations_in_review: Set(filed.in_review as i32),
        observations_rejected: Set(arrival.observations.saturating_sub(filed.stored + filed.in_review) as i32),
        duplicates_seen: Set(0),
        message_time: Set(arrival.sent_at),
        received_at: Set(arrival.received_at),
        processed_at: Set(Some(now)),
    }
}

/// `stored`, `unmatched` (something waits for a person), `ignored`, `refused`, or `logged` (an acknowledgment).
pub(super) fn status(arrival: &Arrival, in_review: bool) -> &'static str {
    match &arrival.content {
        Content::Refused(..) => "refused",
        Content::StrayAck => "logged",
        Content::Ignored => "ignored",
        Content::Results(_) | Content::Event(_) if in_review => "unmatched",
        Content::Results(_) | Content::Event(_) => "stored",
    }
}

/// Codes and locations, never content.
pub(super) fn error_detail(faults: &[Fault]) -> Option<String> {
    let all = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Some(all).filter(|all| !all.is_empty())
}

fn warnings(arrival: &Arrival, filed: &Filed<'_>) -> Value {
    let word = |warning: &Warning| json!({ "code": warning.code, "location": warning.location.map(|location| location.to_string()) });
    let mut all: Vec<Value> = arrival.warnings.iter().chain(&arrival.told).map(word).collect();
    all.extend(filed.warnings.iter().map(|code| json!({ "code": code })));
    if filed.reused_id {
        all.push(json!({ "code": "control_id_reused" }));
    }
    Value::Array(all)
}

/// Cuts a header text to its column; the whole text is in the stored bytes.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// A report.
pub(super) fn report(
    message: &ReportedMessage,
    message_id: i64,
    new: &NewReport,
    now: DateTime<Utc>,
) -> lab_report::ActiveModel {
    let report = &message.blocks[new.at.0].reports[new.at.1];
    lab_report::ActiveModel {
        id: Set(new.id.get()),
        hl7_message_id: Set(message_id),
        patient_id: Set(new.patient.get()),
        lab_order_id: Set(new.order.map(|(order, _)| order.get())),
        lab_order_test_id: Set(new.order.map(|(_, test)| test.get())),
        lis_endpoint_id: Set(message.endpoint.get()),
        filler_order_number: Set(report.filler.clone()),
        placer_order_number: Set(report.placer.clone()),
        service_code: Set(report.service.code.clone()),
        service_text: Set(report.service.text.clone()),
        service_system: Set(report.service.system.clone()),
        status: Set(report.status.clone()),
        observed_at: Set(report.observed_at.as_ref().and_then(|time| time.instant)),
        reported_at: Set(report.status_changed_at),
        ordering_provider: Set(report.provider.clone()),
        specimen: Set(report.specimen.clone()),
        notes: Set(json!(report.notes)),
        created_at: Set(now),
        specimens: Set((!report.specimens.is_empty()).then(|| json!(report.specimens))),
        is_child: Set(new.is_child),
        is_reflex: Set(report.parent.is_reflex),
        parent_placer_number: Set(report.parent.placer.clone()),
        parent_filler_number: Set(report.parent.filler.clone()),
        parent_code: Set(report.parent.code.clone()),
        parent_sub_id: Set(report.parent.sub_id.clone()),
        parent_text: Set(report.parent.text.clone()),
        withdrawn_at: Set(None),
        refusal: Set(refusal(report).map(|refusal| refusal.to_string())),
    }
}

/// What a result row takes from its surroundings.
pub(super) struct Surroundings<'a> {
    /// The message.
    pub(super) message: &'a ReportedMessage,
    /// Its row.
    pub(super) message_id: i64,
    /// MSH-4.
    pub(super) facility: Option<&'a str>,
    /// When it arrived.
    pub(super) received_at: DateTime<Utc>,
}

/// The observation at a place.
pub(super) fn observation(message: &ReportedMessage, at: Place) -> (&Report, &Observation) {
    let report = &message.blocks[at.block].reports[at.report];
    (report, &report.observations[at.observation])
}

/// A result version.
pub(super) fn result(around: &Surroundings<'_>, new: &NewResult) -> lab_result::ActiveModel {
    let (report, sent) = observation(around.message, new.at);
    let time = sent.observed_at.as_ref();
    let mut row = lab_result::ActiveModel {
        id: Set(new.id.get()),
        patient_id: Set(new.patient.get()),
        lab_order_id: Set(new.order.map(crate::domain::ids::OrderId::get)),
        lab_report_id: Set(Some(new.report.get())),
        encounter_id: Set(new.encounter.map(crate::domain::ids::EncounterId::get)),
        lis_endpoint_id: Set(around.message.endpoint.get()),
        result_key: Set(sent.key.clone()),
        version: Set(new.version),
        is_current: Set(new.is_current),
        test_code: Set(sent.code.code.clone()),
        test_name: Set(sent.code.text.clone().unwrap_or_else(|| sent.code.code.clone())),
        code_system: Set(sent.code.system.clone()),
        loinc_code: Set(new.loinc.clone()),
        sub_id: Set(sent.sub_id.clone()),
        result_status: Set(new.status.to_string()),
        reported_status: Set(sent.reported_status.clone()),
        is_correction: Set(new.effect == Effect::Correction),
        retracted: Set(new.status.is_retraction()),
        sending_facility: Set(around.facility.map(str::to_owned)),
        filler_order_number: Set(report.filler.clone()),
        placer_order_number: Set(report.placer.clone()),
        observation_date: Set(time.and_then(|time| time.instant)),
        observation_date_text: Set(time.map(|time| time.text.clone())),
        observation_date_precision: Set(time.map(|time| time.precision.to_owned())),
        zone_assumed: Set(time.is_some_and(|time| time.zone_assumed)),
        status_changed_at: Set(report.status_changed_at),
        message_time: Set(around.message.sent_at),
        performing_lab: Set(sent.performing_lab.clone()),
        producer: Set(sent.producer.clone()),
        notes: Set(json!(sent.notes)),
        warnings: Set(json!(new.warnings)),
        document: Set(sent.document.as_ref().map(|document| document.bytes.clone())),
        received_at: Set(around.received_at),
        hl7_message_id: Set(Some(around.message_id)),
        reviewed_by: Set(None),
        reviewed_at: Set(None),
        created_by: Set(None),
        particulars: Set(sent.particulars.as_ref().map(|particulars| json!(particulars))),
        ..Default::default()
    };
    set_value(&mut row, sent, new);
    row
}

/// The value shown: this version's own, or the one it confirms without repeating it.
fn set_value(row: &mut lab_result::ActiveModel, sent: &Observation, new: &NewResult) {
    let kept = new.kept.as_ref();
    let flags = kept.map_or(&sent.flags, |kept| &kept.flags);
    let number = kept.map_or(sent.number.as_ref(), |kept| kept.number.as_ref());
    row.value_type = Set(kept.map_or(&sent.value_type, |kept| &kept.value_type).clone());
    row.value = Set(kept.map_or(&sent.value, |kept| &kept.value).clone());
    row.raw_value = Set(kept.map_or(&sent.raw_value, |kept| &kept.raw_value).clone());
    row.numeric_value = Set(number.map(|number| number.number));
    row.comparator =
        Set(number.and_then(|number| number.comparator).map(|comparator| comparator.to_string()));
    row.units = Set(kept.map_or(&sent.units, |kept| &kept.units).clone());
    row.reference_range = Set(kept.map_or(&sent.reference_range, |kept| &kept.reference_range).clone());
    row.abnormal_flag = Set((!flags.is_empty()).then(|| flags.join("~")));
    row.flags = Set(json!(flags));
    let own = sent.document.as_ref().map(|document| (&document.media_type, &document.hash));
    let document = match kept {
        Some(kept) => kept.document.as_ref().map(|document| (&document.media_type, &document.hash)),
        None => own,
    };
    row.document_type = Set(document.map(|(media_type, _)| media_type.clone()));
    row.document_hash = Set(document.map(|(_, hash)| hash.clone()));
    set_assessment(row, flags, &new.assessment);
}

/// Critical or not, and why. A missing flag stays "not flagged": it is never shown as normal.
pub(crate) fn set_assessment(row: &mut lab_result::ActiveModel, flags: &[String], assessment: &Assessment) {
    row.is_abnormal = Set(match abnormality(flags) {
        _ if assessment.critical => Some(true),
        Abnormality::NotFlagged => None,
        Abnormality::Normal => Some(false),
        Abnormality::Abnormal => Some(true),
    });
    row.is_critical = Set(assessment.critical);
    row.threshold_status = Set(assessment.threshold_status.to_string());
    row.critical_reasons = Set(json!(assessment.reasons));
}

/// An alert.
pub(super) fn alert(
    around: &Surroundings<'_>,
    new: &NewAlert,
    now: DateTime<Utc>,
    escalate_at: DateTime<Utc>,
) -> critical_alert::ActiveModel {
    let (_, sent) = observation(around.message, new.at);
    let claim = &around.message.blocks[new.at.block].claim;
    critical_alert::ActiveModel {
        id: Set(new.id.get()),
        source_ref: Set(source(around.message_id, new)),
        lab_result_id: Set(new.result.map(|(result, _)| result.get())),
        review_item_id: Set(None),
        hl7_message_id: Set(Some(around.message_id)),
        patient_id: Set(new.result.map(|(_, patient)| patient.get())),
        claimed_patient: Set(new.result.is_none().then(|| claimed(claim))),
        lab_order_id: Set(new.order.map(crate::domain::ids::OrderId::get)),
        test_code: Set(sent.code.code.clone()),
        test_name: Set(sent.code.text.clone().unwrap_or_else(|| sent.code.code.clone())),
        value: Set(sent.value.clone()),
        units: Set(sent.units.clone()),
        abnormal_flag: Set((!sent.flags.is_empty()).then(|| sent.flags.join("~"))),
        reference_range: Set(sent.reference_range.clone()),
        reasons: Set(json!(new.assessment.reasons)),
        status: Set("open".into()),
        raised_at: Set(now),
        result_time: Set(sent.observed_at.as_ref().and_then(|time| time.instant)),
        acknowledged_by: Set(None),
        acknowledged_at: Set(None),
        note: Set(None),
        read_back: Set(None),
        escalations: Set(json!([])),
        escalate_at: Set(Some(escalate_at)),
        escalation_level: Set(0),
        annotations: Set(json!([])),
        resolved_at: Set(None),
    }
}

fn source(message_id: i64, new: &NewAlert) -> String {
    match new.result {
        Some((result, _)) => format!("result:{result}"),
        None => source_in_message(message_id, new.at),
    }
}

/// Source of an alert about an observation that is held, or was when somebody said whose it is.
pub(crate) fn source_in_message(message_id: i64, at: Place) -> String {
    format!("message:{message_id}:{}.{}.{}", at.block, at.report, at.observation)
}

/// What an unmatched message says of its patient, for the eyes of whoever finds out who it is.
pub(super) fn claimed(claim: &PatientClaim) -> Value {
    json!({
        "mrn": claim.identifiers.first().map(|identifier| &identifier.value),
        "last_name": claim.family,
        "first_name": claim.given,
        "date_of_birth": claim.birth_date,
    })
}

/// The event that puts an alert on the screens.
pub(super) fn alert_event(
    around: &Surroundings<'_>,
    new: &NewAlert,
    now: DateTime<Utc>,
) -> alert_event::ActiveModel {
    let (_, sent) = observation(around.message, new.at);
    let patient = new.result.map(|(_, patient)| patient.get());
    alert_event::ActiveModel {
        kind: Set("critical_result".into()),
        alert_id: Set(Some(new.id.get())),
        patient_id: Set(patient),
        lab_order_id: Set(new.order.map(crate::domain::ids::OrderId::get)),
        payload: Set(json!({
            "alert_id": new.id.get(),
            "patient_id": patient,
            "test_name": sent.code.text.as_ref().unwrap_or(&sent.code.code),
            "value": sent.value,
            "units": sent.units,
            "abnormal_flag": (!sent.flags.is_empty()).then(|| sent.flags.join("~")),
        })),
        created_at: Set(now),
        ..Default::default()
    }
}

/// What waits for a person.
pub(super) fn review(
    around: &Surroundings<'_>,
    review: &Review,
    now: DateTime<Utc>,
) -> review_item::ActiveModel {
    let first = review.blocks.first().copied().unwrap_or_default();
    review_item::ActiveModel {
        hl7_message_id: Set(around.message_id),
        block: Set(first as i32),
        blocks: Set(Some(json!(review.blocks))),
        claimed: Set(Some(stated(&around.message.blocks[first].claim))),
        patient_id: Set(None),
        history: Set(None),
        reason: Set(review.reason.as_str().into()),
        candidates: Set(json!(review.candidates)),
        observation_count: Set(review.observations as i32),
        status: Set("open".into()),
        resolution: Set(None),
        resolved_by: Set(None),
        resolved_at: Set(None),
        created_at: Set(now),
        ..Default::default()
    }
}

/// The patient as a message states one, whole enough to be compared with those we know.
pub(crate) fn stated(claim: &PatientClaim) -> Value {
    let identifiers = claim.identifiers.iter().map(|identifier| {
        json!({ "value": identifier.value, "authority": identifier.authority, "type": identifier.kind })
    });
    let mut stated = claimed(claim);
    stated["identifiers"] = identifiers.collect();
    stated["gender"] = json!(claim.sex);
    stated
}
