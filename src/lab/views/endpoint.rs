use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::order::strings;
use crate::store::entity::lis_endpoint;

/// A laboratory system we receive from, send to, or both.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = LisEndpoint)]
pub struct EndpointView {
    /// Id.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Where it listens; null when it only sends to us.
    pub host: Option<String>,
    /// Port where it listens.
    pub port: Option<i32>,
    /// `inbound` (sends to us), `outbound` (we send to it) or `both`.
    pub direction: String,
    /// Whether it takes part at all.
    pub enabled: bool,
    /// Whether sending is paused.
    pub paused: bool,
    /// Whether orders that name no lab go here.
    pub is_default: bool,
    /// Whether we speak TLS to it.
    pub tls: bool,
    /// Whether it may speak without TLS from beyond this machine.
    pub allow_plaintext: bool,
    /// SHA-256 of the certificate that it must show when it connects to us, in hexadecimal; null: none is needed.
    pub client_cert_fingerprint: Option<String>,
    /// CIDR blocks it may come from.
    pub allowed_networks: Vec<String>,
    /// Its application name: MSH-5 of what we send, MSH-3 of what it sends. Empty: any.
    pub receiving_application: String,
    /// Its facility name: MSH-6 of what we send, MSH-4 of what it sends. Empty: any.
    pub receiving_facility: String,
    /// Our application name towards it; null: the installation's.
    pub sending_application: Option<String>,
    /// Our facility name towards it; null: the installation's.
    pub sending_facility: Option<String>,
    /// `ORM_O01` or `OML_O21`.
    pub order_message: String,
    /// Version of what we send.
    pub hl7_version: String,
    /// `auto`, `original` or `enhanced`.
    pub ack_mode: String,
    /// Character set it uses when MSH-18 is empty.
    pub charset: Option<String>,
    /// IANA zone of its times without offset.
    pub time_zone: String,
    /// Its deviations from the standard.
    #[schema(value_type = Object)]
    pub profile: Value,
    /// Our test codes and what it orders them by: a code, or an object of `code`, `text`, `system`.
    #[schema(value_type = Object)]
    pub code_map: Value,
    /// State of the sending side in words.
    pub connection_state: String,
    /// Why, when not connected.
    pub connection_detail: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<lis_endpoint::Model> for EndpointView {
    fn from(row: lis_endpoint::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            host: row.host,
            port: row.port,
            direction: row.direction,
            enabled: row.enabled,
            paused: row.paused,
            is_default: row.is_default,
            tls: row.tls,
            allow_plaintext: row.allow_plaintext,
            client_cert_fingerprint: row.client_cert_fingerprint,
            allowed_networks: strings(&row.allowed_networks),
            receiving_application: row.receiving_application,
            receiving_facility: row.receiving_facility,
            sending_application: row.sending_application,
            sending_facility: row.sending_facility,
            order_message: row.order_message,
            hl7_version: row.hl7_version,
            ack_mode: row.ack_mode,
            charset: row.charset,
            time_zone: row.time_zone,
            profile: row.profile,
            code_map: row.code_map.unwrap_or_else(|| json!({})),
            connection_state: row.connection_state,
            connection_detail: row.connection_detail,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
