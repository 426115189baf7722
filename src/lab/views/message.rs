use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::PastReplayView;
use crate::store::entity::hl7_message;

/// One line of the message log.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Hl7Message)]
pub struct MessageView {
    /// Id.
    pub id: i64,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The peer; 0 for a loopback sender that no endpoint names.
    pub lis_endpoint_id: i64,
    /// Family (MSH-9.1), such as `ORU`.
    pub message_type: String,
    /// Event (MSH-9.2), such as `R01`.
    pub trigger_event: Option<String>,
    /// Version (MSH-12.1).
    pub hl7_version: Option<String>,
    /// Control id (MSH-10).
    pub message_control_id: String,
    /// MSH-3.
    pub sending_application: Option<String>,
    /// MSH-4.
    pub sending_facility: Option<String>,
    /// MSH-5.
    pub receiving_application: Option<String>,
    /// MSH-6.
    pub receiving_facility: Option<String>,
    /// What became of it.
    pub status: String,
    /// MSA-1 that was given or received.
    pub ack_status: Option<String>,
    /// SHA-256 of the bytes as received or sent.
    pub message_hash: String,
    /// Length of the bytes.
    pub size_bytes: i64,
    /// Patient it was tied to.
    pub patient_id: Option<i64>,
    /// Order it belongs to.
    pub lab_order_id: Option<i64>,
    /// The message that this one was sent in the place of, corrected; of one that is published, the message that brought the
    /// news.
    pub original_message_id: Option<i64>,
    /// Why it was refused: codes and locations, never content.
    pub error_detail: Option<String>,
    /// How often the same bytes came again and got the same answer.
    pub duplicates_seen: i32,
    /// When it arrived or was made.
    pub received_at: DateTime<Utc>,
    /// When its outcome was settled.
    pub processed_at: Option<DateTime<Utc>>,
    /// Version of TLS that its connection had, such as `1.3`; null in the clear.
    pub tls_version: Option<String>,
    /// SHA-256 of the certificate that the other side showed, in hexadecimal.
    pub peer_certificate: Option<String>,
}

/// What became of the observations (OBX) of a message. `received` = `stored` + `in_review` + `rejected`.
#[derive(Clone, Serialize, ToSchema)]
pub struct Observations {
    /// OBX segments in the message.
    pub received: i32,
    /// Rows of results, every version a row.
    pub stored: i32,
    /// Held until somebody says whose they are.
    pub in_review: i32,
    /// Refused, with the reason in the ERR of the ACK.
    pub rejected: i32,
}

/// The acknowledgment exchanged.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = MessageAck)]
pub struct AckView {
    /// MSA-1.
    pub code: Option<String>,
    /// The whole acknowledgment, one segment a line. It holds no patient data.
    pub text: Option<String>,
    /// When it was given or received.
    pub at: Option<DateTime<Utc>>,
    /// Microseconds between the message and its acknowledgment.
    pub latency_us: Option<i64>,
}

/// A message with all that is known of it. The raw bytes are a request of their own.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Hl7MessageDetail)]
pub struct MessageDetail {
    /// The log line.
    #[serde(flatten)]
    pub message: MessageView,
    /// What became of its observations.
    pub observations: Observations,
    /// The acknowledgment.
    pub ack: AckView,
    /// Leniency that was used to read it.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Value,
    /// Character set it was read in.
    pub charset: Option<String>,
    /// Segments and fields with their names.
    #[schema(value_type = Vec<Object>)]
    pub tree: Value,
    /// Results it brought.
    pub lab_result_ids: Vec<i64>,
    /// Runs of it that changed something, oldest first.
    pub replays: Vec<PastReplayView>,
}

impl From<&hl7_message::Model> for MessageView {
    fn from(row: &hl7_message::Model) -> Self {
        let row = row.clone();
        Self {
            id: row.id,
            direction: row.direction,
            lis_endpoint_id: row.lis_endpoint_id,
            message_type: row.message_type,
            trigger_event: row.trigger_event,
            hl7_version: row.hl7_version,
            message_control_id: row.message_control_id,
            sending_application: row.sending_application,
            sending_facility: row.sending_facility,
            receiving_application: row.receiving_application,
            receiving_facility: row.receiving_facility,
            status: row.status,
            ack_status: row.ack_status,
            message_hash: row.message_hash,
            size_bytes: row.size_bytes,
            patient_id: row.patient_id,
            lab_order_id: row.lab_order_id,
            original_message_id: row.original_message_id,
            error_detail: row.error_detail,
            duplicates_seen: row.duplicates_seen,
            received_at: row.received_at,
            processed_at: row.processed_at,
            tls_version: row.tls_version,
            peer_certificate: row.peer_certificate,
        }
    }
}

impl MessageDetail {
    /// Puts the parts together.
    pub fn new(
        row: &hl7_message::Model,
        tree: Value,
        lab_result_ids: Vec<i64>,
        replays: Vec<PastReplayView>,
    ) -> Self {
        let text = row.ack_bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).replace('\r', "\n"));
        Self {
            message: MessageView::from(row),
            observations: Observations {
                received: row.observations_received,
                stored: row.observations_stored,
                in_review: row.observations_in_review,
                rejected: row.observations_rejected,
            },
            ack: AckView {
                code: row.ack_status.clone(),
                text,
                at: row.acked_at,
                latency_us: row.ack_latency_us,
            },
            warnings: row.warnings.clone(),
            charset: row.charset.clone(),
            tree,
            lab_result_ids,
            replays,
        }
    }
}
