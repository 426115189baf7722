//! Trying a message out: what it says, what would be stored, what would be answered. Promise: nothing is stored, and what is
//! shown is what the intake would do at this moment.

use sea_orm::ActiveValue;
use serde_json::{Value, json};

use super::{
    access::{self, Resource},
    arrival::{Arrival, Content},
    endpoint_directory::Peer,
    endpoint_profile::Profile,
    error::LabError,
    intake::{self, Preview},
    read_messages::parsed,
    views::{Observations, PreviewResult, PreviewView, WouldStore},
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        intake::{Decision, NewResult},
        report::ReportedMessage,
    },
    hl7::{batch, frame::Frame},
    store::endpoints,
};

/// Tries a message out as one from this endpoint, or as one from a sender that no endpoint names.
pub async fn preview_message(
    ctx: &Ctx,
    caller: &Caller,
    bytes: Vec<u8>,
    endpoint: Option<i64>,
) -> Result<PreviewView, LabError> {
    access::permit(ctx, caller, Action::PreviewHl7, "hl7_message").await?;
    let profile = match endpoint {
        Some(id) => Profile::of(
            &endpoints::find(ctx.db.reader(), id).await?.ok_or(LabError::NotFound("LIS endpoint"))?,
        ),
        None => Profile::loopback(),
    };
    let bytes = unframed(bytes);
    if !batch::is_plain(&bytes) {
        return Err(LabError::invalid("body", "must hold one message"));
    }
    let (frame, peer) = (Frame::Message(bytes.clone()), caller.ip.map(Peer::plain));
    let arrival = Arrival::read(ctx, frame, Some(profile.clone()), &profile, peer)?;
    let preview = intake::preview(ctx, &arrival).await?;
    let patients: Vec<i64> = preview.decision.patients.iter().map(|patient| patient.get()).collect();
    access::seen(ctx, caller, Action::PreviewHl7, Resource::many("hl7_message", &patients)).await?;
    Ok(view(&arrival, preview, parsed(&bytes, arrival.charset)))
}

/// A message as it is pasted: with or without the bytes of its MLLP frame.
fn unframed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.retain(|byte| !matches!(byte, 0x0b | 0x1c));
    bytes
}

fn view(arrival: &Arrival, preview: Preview, tree: Value) -> PreviewView {
    let header = &arrival.header;
    let Preview { row, stored_as, answer, decision } = preview;
    let row = row.unwrap_or_default();
    let observations = Observations {
        received: arrival.observations as i32,
        stored: of(row.observations_stored).unwrap_or_default(),
        in_review: of(row.observations_in_review).unwrap_or_default(),
        rejected: of(row.observations_rejected).unwrap_or_default(),
    };
    PreviewView {
        outcome: stored_as.map_or_else(|| of(row.status).unwrap_or_default(), |_| "duplicate".into()),
        duplicate_of: stored_as,
        message_type: header.message_code.clone(),
        trigger_event: header.trigger.clone(),
        hl7_version: header.version.clone(),
        message_control_id: arrival.control_id().to_owned(),
        charset: arrival.charset.map(str::to_owned),
        ack: answer.iter().map(|bytes| String::from_utf8_lossy(bytes).replace('\r', "\n")).collect(),
        error_detail: of(row.error_detail).flatten(),
        warnings: of(row.warnings).unwrap_or(Value::Array(Vec::new())),
        observations,
        would_store: WouldStore {
            patient_id: of(row.patient_id).flatten(),
            lab_order_id: of(row.lab_order_id).flatten(),
            ..would_store(arrival, &decision)
        },
        tree,
    }
}

fn of<T: Into<sea_orm::Value>>(value: ActiveValue<T>) -> Option<T> {
    match value {
        ActiveValue::Set(value) | ActiveValue::Unchanged(value) => Some(value),
        ActiveValue::NotSet => None,
    }
}

fn would_store(arrival: &Arrival, decision: &Decision) -> WouldStore {
    let review = decision.reviews.first();
    let mut stored = WouldStore {
        superseded: decision.superseded.iter().map(|id| id.get()).collect(),
        alerts: decision.alerts.len(),
        review_reason: review.map(|review| review.reason.as_str().to_owned()),
        candidates: json!(review.map(|review| review.candidates.as_slice()).unwrap_or_default()),
        ..WouldStore::default()
    };
    match &arrival.content {
        Content::Results(results) => {
            stored.results = decision.results.iter().map(|new| result(results, new)).collect();
        }
        Content::Event(event) => {
            stored.event = Some(event.kind().to_owned());
            stored.event_detail = Some(event.what());
        }
        Content::Ignored | Content::Refused(..) | Content::StrayAck => {}
    }
    stored
}

fn result(message: &ReportedMessage, new: &NewResult) -> PreviewResult {
    let sent = &message.blocks[new.at.block].reports[new.at.report].observations[new.at.observation];
    let kept = new.kept.as_ref();
    let flags = kept.map_or(&sent.flags, |kept| &kept.flags);
    PreviewResult {
        test_code: sent.code.code.clone(),
        test_name: sent.code.text.clone().unwrap_or_else(|| sent.code.code.clone()),
        loinc_code: new.loinc.clone(),
        value_type: sent.value_type.clone(),
        value: kept.map_or(&sent.value, |kept| &kept.value).clone(),
        units: kept.map_or(&sent.units, |kept| &kept.units).clone(),
        reference_range: kept.map_or(&sent.reference_range, |kept| &kept.reference_range).clone(),
        abnormal_flag: (!flags.is_empty()).then(|| flags.join("~")),
        result_status: new.status.to_string(),
        version: new.version,
        is_current: new.is_current,
        is_critical: new.assessment.critical,
        critical_reasons: json!(new.assessment.reasons),
        document_type: sent.document.as_ref().map(|document| document.media_type.clone()),
        warnings: new.warnings.clone(),
    }
}
