//! Everything that can be set on an endpoint, and what it is where nobody says.

use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    lab::views::EndpointView,
    store::entity::lis_endpoint::{ActiveModel, Model},
};

/// Everything that can be set on an endpoint.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointSettings {
    /// Unique name.
    pub name: String,
    /// Where it listens.
    pub host: Option<String>,
    /// Port where it listens.
    pub port: Option<i64>,
    /// `inbound`, `outbound` or `both`.
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
    /// SHA-256 of the certificate that it must show when it connects to us.
    pub client_cert_fingerprint: Option<String>,
    /// CIDR blocks it may come from.
    pub allowed_networks: Vec<String>,
    /// Its application name.
    pub receiving_application: String,
    /// Its facility name.
    pub receiving_facility: String,
    /// Our application name towards it.
    pub sending_application: Option<String>,
    /// Our facility name towards it.
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
    pub profile: Value,
    /// Our test codes and what it orders them by.
    pub code_map: Value,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            host: None,
            port: None,
            direction: "both".into(),
            enabled: true,
            paused: false,
            is_default: false,
            tls: false,
            allow_plaintext: false,
            client_cert_fingerprint: None,
            allowed_networks: Vec::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            sending_application: None,
            sending_facility: None,
            order_message: "ORM_O01".into(),
            hl7_version: "2.5.1".into(),
            ack_mode: "auto".into(),
            charset: None,
            time_zone: "UTC".into(),
            profile: json!({}),
            code_map: json!({}),
        }
    }
}

impl EndpointSettings {
    /// As they are stored.
    pub(in crate::lab) fn of(row: &Model) -> Self {
        let view = EndpointView::from(row.clone());
        Self {
            name: view.name,
            host: view.host,
            port: view.port.map(i64::from),
            direction: view.direction,
            enabled: view.enabled,
            paused: view.paused,
            is_default: view.is_default,
            tls: view.tls,
            allow_plaintext: view.allow_plaintext,
            client_cert_fingerprint: view.client_cert_fingerprint,
            allowed_networks: view.allowed_networks,
            receiving_application: view.receiving_application,
            receiving_facility: view.receiving_facility,
            sending_application: view.sending_application,
            sending_facility: view.sending_facility,
            order_message: view.order_message,
            hl7_version: view.hl7_version,
            ack_mode: view.ack_mode,
            charset: view.charset,
            time_zone: view.time_zone,
            profile: view.profile,
            code_map: view.code_map,
        }
    }

    /// Puts them into a row that is to be written.
    pub(super) fn write_to(self, row: &mut ActiveModel) {
        row.name = Set(self.name);
        row.host = Set(self.host);
        row.port = Set(self.port.and_then(|port| i32::try_from(port).ok()));
        row.direction = Set(self.direction);
        row.enabled = Set(self.enabled);
        row.paused = Set(self.paused);
        row.is_default = Set(self.is_default);
        row.tls = Set(self.tls);
        row.allow_plaintext = Set(self.allow_plaintext);
        row.client_cert_fingerprint = Set(self.client_cert_fingerprint);
        row.allowed_networks = Set(json!(self.allowed_networks));
        row.receiving_application = Set(self.receiving_application);
        row.receiving_facility = Set(self.receiving_facility);
        row.sending_application = Set(self.sending_application);
        row.sending_facility = Set(self.sending_facility);
        row.order_message = Set(self.order_message);
        row.hl7_version = Set(self.hl7_version);
        row.ack_mode = Set(self.ack_mode);
        row.charset = Set(self.charset);
        row.time_zone = Set(self.time_zone);
        row.profile = Set(self.profile);
        row.code_map = Set(Some(self.code_map));
    }
}
