//! An endpoint as an object of JSON: the body of a request, or an entry of a file. Both are read here, so that a file can
//! say what the API can, in the same words and with the same faults.

use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    EndpointSettings,
    check::{ACK_MODES, DIRECTIONS, ORDER_MESSAGES},
};
use crate::reader::{FromFields, Reader};

/// A new endpoint; what is left out takes its default.
#[derive(Validate, ToSchema)]
#[schema(as = LisEndpointCreate)]
pub struct EndpointCreate {
    /// Unique name.
    name: String,
    #[serde(flatten)]
    options: EndpointOptions,
}

/// What changes. Absent keeps, null clears.
#[derive(Validate, ToSchema)]
#[schema(as = LisEndpointUpdate)]
pub struct EndpointUpdate {
    /// Unique name.
    name: Option<String>,
    #[serde(flatten)]
    options: EndpointOptions,
}

/// Everything but the name.
#[derive(Validate, ToSchema)]
#[schema(as = LisEndpointOptions)]
#[allow(clippy::option_option, reason = "absent and null are two things here")]
pub struct EndpointOptions {
    /// Where it listens.
    #[schema(value_type = Option<String>)]
    host: Option<Option<String>>,
    /// Port where it listens.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 65535)]
    port: Option<Option<i64>>,
    /// `inbound` (sends to us), `outbound` (we send to it) or `both`.
    direction: Option<String>,
    /// Whether it takes part at all.
    enabled: Option<bool>,
    /// Whether sending is paused.
    paused: Option<bool>,
    /// Whether orders that name no lab go here.
    is_default: Option<bool>,
    /// Whether we speak TLS to it.
    tls: Option<bool>,
    /// Whether it may speak without TLS from beyond this machine.
    allow_plaintext: Option<bool>,
    /// SHA-256 of the certificate that it must show when it connects to us, in hexadecimal; null: none is needed.
    #[schema(value_type = Option<String>)]
    client_cert_fingerprint: Option<Option<String>>,
    /// CIDR blocks it may come from.
    allowed_networks: Option<Vec<String>>,
    /// Its application name.
    receiving_application: Option<String>,
    /// Its facility name.
    receiving_facility: Option<String>,
    /// Our application name towards it; null: the installation's.
    #[schema(value_type = Option<String>)]
    sending_application: Option<Option<String>>,
    /// Our facility name towards it; null: the installation's.
    #[schema(value_type = Option<String>)]
    sending_facility: Option<Option<String>>,
    /// `ORM_O01` or `OML_O21`.
    order_message: Option<String>,
    /// Version of what we send.
    hl7_version: Option<String>,
    /// `auto`, `original` or `enhanced`.
    ack_mode: Option<String>,
    /// Character set it uses when MSH-18 is empty (table 0211).
    #[schema(value_type = Option<String>)]
    charset: Option<Option<String>>,
    /// IANA zone of its times without offset.
    time_zone: Option<String>,
    /// Its deviations from the standard.
    #[schema(value_type = Option<Object>)]
    profile: Option<Value>,
    /// Our test codes and what it orders them by: a code, or an object of `code`, `text`, `system`.
    #[schema(value_type = Option<Object>)]
    code_map: Option<Value>,
}

impl FromFields for EndpointCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { name: fields.str("name"), options: EndpointOptions::read(fields) }
    }
}

impl FromFields for EndpointUpdate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { name: fields.opt_str("name"), options: EndpointOptions::read(fields) }
    }
}

impl EndpointCreate {
    /// The settings it stands for: what was given, over the defaults.
    pub fn settings(self) -> EndpointSettings {
        let mut settings = EndpointSettings { name: self.name, ..EndpointSettings::default() };
        self.options.apply(&mut settings);
        settings
    }
}

impl EndpointUpdate {
    /// Puts what was given over what is there.
    pub fn apply(self, to: &mut EndpointSettings) {
        put(&mut to.name, self.name);
        self.options.apply(to);
    }
}

impl EndpointOptions {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            host: fields.patch("host", Reader::opt_str),
            port: fields.patch("port", Reader::opt_int),
            direction: fields.opt_choice("direction", &DIRECTIONS).map(str::to_owned),
            enabled: fields.opt_bool("enabled"),
            paused: fields.opt_bool("paused"),
            is_default: fields.opt_bool("is_default"),
            tls: fields.opt_bool("tls"),
            allow_plaintext: fields.opt_bool("allow_plaintext"),
            client_cert_fingerprint: fields.patch("client_cert_fingerprint", Reader::opt_str),
            allowed_networks: fields.opt_str_list("allowed_networks"),
            receiving_application: fields.opt_str("receiving_application"),
            receiving_facility: fields.opt_str("receiving_facility"),
            sending_application: fields.patch("sending_application", Reader::opt_str),
            sending_facility: fields.patch("sending_facility", Reader::opt_str),
            order_message: fields.opt_choice("order_message", &ORDER_MESSAGES).map(str::to_owned),
            hl7_version: fields.opt_str("hl7_version"),
            ack_mode: fields.opt_choice("ack_mode", &ACK_MODES).map(str::to_owned),
            charset: fields.patch("charset", Reader::opt_str),
            time_zone: fields.opt_str("time_zone"),
            profile: fields.opt_json("profile"),
            code_map: fields.opt_json("code_map"),
        }
    }

    fn apply(self, to: &mut EndpointSettings) {
        put(&mut to.host, self.host);
        put(&mut to.port, self.port);
        put(&mut to.direction, self.direction);
        put(&mut to.enabled, self.enabled);
        put(&mut to.paused, self.paused);
        put(&mut to.is_default, self.is_default);
        put(&mut to.tls, self.tls);
        put(&mut to.allow_plaintext, self.allow_plaintext);
        put(&mut to.client_cert_fingerprint, self.client_cert_fingerprint);
        put(&mut to.allowed_networks, self.allowed_networks);
        put(&mut to.receiving_application, self.receiving_application);
        put(&mut to.receiving_facility, self.receiving_facility);
        put(&mut to.sending_application, self.sending_application);
        put(&mut to.sending_facility, self.sending_facility);
        put(&mut to.order_message, self.order_message);
        put(&mut to.hl7_version, self.hl7_version);
        put(&mut to.ack_mode, self.ack_mode);
        put(&mut to.charset, self.charset);
        put(&mut to.time_zone, self.time_zone);
        put(&mut to.profile, self.profile);
        put(&mut to.code_map, self.code_map);
    }
}

fn put<T>(place: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *place = value;
    }
}
