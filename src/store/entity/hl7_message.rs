//! Table `hl7_messages`.

use sea_orm::entity::prelude::*;

/// One HL7 message, received or sent; its acknowledgement stands in the same row.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "hl7_messages")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Random id chosen before the insert; authenticated with the encrypted bytes, so they
    /// cannot be moved to another row.
    pub message_uid: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// Peer; 0 is the loopback sender that no endpoint names.
    pub lis_endpoint_id: i64,
    /// MSH-9.1.
    pub message_type: String,
    /// MSH-9.2.
    pub trigger_event: Option<String>,
    /// MSH-9.3.
    pub message_structure: Option<String>,
    /// MSH-12.
    pub hl7_version: Option<String>,
    /// MSH-10.
    pub message_control_id: String,
    /// MSH-11.
    pub processing_id: Option<String>,
    /// MSH-3.
    pub sending_application: Option<String>,
    /// MSH-4.
    pub sending_facility: Option<String>,
    /// MSH-5.
    pub receiving_application: Option<String>,
    /// MSH-6.
    pub receiving_facility: Option<String>,
    /// Ciphertext envelope `v1:key-id:nonce:ciphertext` of the bytes as they crossed the
    /// wire.
    pub raw_message: String,
    /// SHA-256 of those bytes, in hex.
    pub message_hash: String,
    /// Length of those bytes.
    pub size_bytes: i64,
    /// Character set they were decoded with.
    pub charset: Option<String>,
    /// What became of it: inbound `stored`, `refused`, `duplicate_id`, `quarantined`;
    /// outbound `queued`, `sent`, `failed`.
    pub status: String,
    /// MSA-1 given or received.
    pub ack_status: Option<String>,
    /// The reply itself; a resend gets the same bytes.
    pub ack_bytes: Option<Vec<u8>>,
    /// MSH-10 of the reply.
    pub ack_control_id: Option<String>,
    /// When the reply was built or received.
    pub acked_at: Option<DateTimeUtc>,
    /// Microseconds from receipt to reply, or from sending to the peer's reply.
    pub ack_latency_us: Option<i64>,
    /// Address of the peer.
    pub source_ip: Option<String>,
    /// Chart it was filed to.
    pub patient_id: Option<i64>,
    /// Order it answers or carries; no foreign key, since orders point at messages too.
    pub lab_order_id: Option<i64>,
    /// Message this one repeats or corrects, or whose news it passes on; no foreign key, so that retention may drop the
    /// older one.
    pub original_message_id: Option<i64>,
    /// Why it was refused: position and code, never content.
    pub error_detail: Option<String>,
    /// Leniencies used while reading it.
    #[sea_orm(column_type = "JsonBinary")]
    pub warnings: Json,
    /// OBX read.
    pub observations_received: i32,
    /// OBX filed as results.
    pub observations_stored: i32,
    /// OBX waiting in the review queue.
    pub observations_in_review: i32,
    /// OBX that could not be filed.
    pub observations_rejected: i32,
    /// How often the same message came again.
    pub duplicates_seen: i32,
    /// MSH-7.
    pub message_time: Option<DateTimeUtc>,
    /// When its last byte arrived, or when it was built.
    pub received_at: DateTimeUtc,
    /// When its effects were committed.
    pub processed_at: Option<DateTimeUtc>,
    /// Version of TLS that its connection had; null in the clear.
    pub tls_version: Option<String>,
    /// SHA-256 of the certificate that the other side showed, in hex.
    pub peer_certificate: Option<String>,
}

super::plain_entity!("hl7_message");
