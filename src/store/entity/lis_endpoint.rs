//! Table `lis_endpoints`.

use sea_orm::entity::prelude::*;

/// A peer laboratory system: where it is, who it may claim to be and how it is spoken to.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lis_endpoints")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name shown to people.
    pub name: String,
    /// Host to connect to, outbound only.
    pub host: Option<String>,
    /// Port to connect to, outbound only.
    pub port: Option<i32>,
    /// Whether it sends to us or we send to it.
    pub direction: String,
    /// Switched off: neither heard nor sent to.
    pub enabled: bool,
    /// Orders wait in the outbox while set.
    pub paused: bool,
    /// Takes the orders that name no endpoint.
    pub is_default: bool,
    /// Connects by TLS.
    pub tls: bool,
    /// Plain MLLP is accepted from this peer.
    pub allow_plaintext: bool,
    /// SHA-256 of the client certificate this peer must show.
    pub client_cert_fingerprint: Option<String>,
    /// CIDR blocks the peer may come from; an empty array means any.
    #[sea_orm(column_type = "JsonBinary")]
    pub allowed_networks: Json,
    /// MSH-5 of what we send.
    pub receiving_application: String,
    /// MSH-6 of what we send.
    pub receiving_facility: String,
    /// MSH-3 expected from the peer.
    pub sending_application: Option<String>,
    /// MSH-4 expected from the peer.
    pub sending_facility: Option<String>,
    /// Message structure orders are sent in.
    pub order_message: String,
    /// MSH-12 of what we send.
    pub hl7_version: String,
    /// How acknowledgements are asked for.
    pub ack_mode: String,
    /// Character set of messages without MSH-18.
    pub charset: Option<String>,
    /// IANA zone of times without an offset.
    pub time_zone: String,
    /// Per-endpoint switches of the interface profile.
    #[sea_orm(column_type = "JsonBinary")]
    pub profile: Json,
    /// When the peer was last heard, as far as its messages were counted; see `heard_to_id`.
    pub last_message_at: Option<DateTimeUtc>,
    /// State of the outbound connection, as shown to people.
    pub connection_state: String,
    /// Why it is in that state; never message content.
    pub connection_detail: Option<String>,
    /// Process that may send to this endpoint.
    pub lease_owner: Option<String>,
    /// When that right ends unless renewed.
    pub lease_until: Option<DateTimeUtc>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// Removed by an administrator; the row stays because messages point at it.
    pub deleted_at: Option<DateTimeUtc>,
    /// Our test codes and what the peer orders them by.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub code_map: Option<Json>,
    /// Up to which message (`hl7_messages.id`) what it sends was counted into `feed_hours`.
    pub heard_to_id: i64,
    /// Entry of the operator's file that it was last imported from, as JSON.
    #[sea_orm(column_type = "Text", nullable)]
    pub imported_entry: Option<String>,
}

super::plain_entity!("lis_endpoint");
