//! What may stand in the settings of an endpoint. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::EndpointSettings;
use crate::{
    config::outbound_address_allowed,
    hl7::{build::version_number, charset::Charset},
    lab::{
        LabError,
        endpoint_profile::{BadHabit, Habits, Publication},
        order_profile::CodeMap,
    },
    outbound::{LONGEST_HOST, is_of_host},
    security::tls::Fingerprint,
};

/// Who begins: the lab, we, or either.
pub const DIRECTIONS: [&str; 3] = ["inbound", "outbound", "both"];
/// Structures an order can be sent in.
pub const ORDER_MESSAGES: [&str; 2] = ["ORM_O01", "OML_O21"];
/// How acknowledgments are agreed on.
pub const ACK_MODES: [&str; 3] = ["auto", "original", "enhanced"];

const LONGEST_NAME: usize = 100;
/// MSH-3 to MSH-6 are HD; receivers often give them no more.
const LONGEST_HL7_NAME: usize = 180;
const MOST_NETWORKS: usize = 100;

/// A setting that cannot be used as it stands.
pub(in crate::lab) struct BadSetting {
    /// Which.
    pub(in crate::lab) field: &'static str,
    /// What would be right. The value is never repeated.
    pub(in crate::lab) message: String,
}

impl BadSetting {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl From<BadSetting> for LabError {
    fn from(fault: BadSetting) -> Self {
        Self::invalid(fault.field, fault.message)
    }
}

/// Everything that is wrong, one thing for each field. `allowed`: networks in which endpoints may lie besides the usual ones.
pub(in crate::lab) fn faults(settings: &EndpointSettings, allowed: &[IpNet]) -> Vec<BadSetting> {
    let mut found = Found(Vec::new());
    found.one_of("direction", &settings.direction, &DIRECTIONS);
    found.one_of("order_message", &settings.order_message, &ORDER_MESSAGES);
    found.one_of("ack_mode", &settings.ack_mode, &ACK_MODES);
    found.line("name", &settings.name, LONGEST_NAME);
    found.unless(!settings.name.trim().is_empty(), "name", "must not be empty");
    found.host(settings, allowed);
    found.port(settings);
    found.certificate(settings);
    found.networks(&settings.allowed_networks);
    found.names(settings);
    found.wire(settings);
    found.profile(settings);
    found.0
}

struct Found(Vec<BadSetting>);

impl Found {
    /// The first fault of a field is the one that is told.
    fn add(&mut self, field: &'static str, message: impl Into<String>) {
        if !self.0.iter().any(|known| known.field == field) {
            self.0.push(BadSetting::new(field, message));
        }
    }

    fn unless(&mut self, good: bool, field: &'static str, message: &str) {
        if !good {
            self.add(field, message);
        }
    }

    fn one_of(&mut self, field: &'static str, value: &str, words: &[&str]) {
        self.unless(words.contains(&value), field, &format!("must be one of {}", words.join(", ")));
    }

    fn line(&mut self, field: &'static str, text: &str, longest: usize) {
        self.unless(!text.chars().any(char::is_control), field, "must not contain control characters");
        let fits = text.chars().count() <= longest;
        self.unless(fits, field, &format!("must not be longer than {longest} characters"));
    }

    fn host(&mut self, settings: &EndpointSettings, allowed: &[IpNet]) {
        let Some(host) = settings.host.as_deref() else {
            self.unless(settings.direction == "inbound", "host", "is needed to send to this endpoint");
            return;
        };
        self.line("host", host, LONGEST_HOST);
        let good = !host.is_empty() && host.chars().all(is_of_host);
        self.unless(good, "host", "must be a host name or an address");
        // A host name is looked up, and its addresses checked, each time we connect.
        let within = host.parse().is_ok_and(|address: IpAddr| !outbound_address_allowed(address, allowed));
        self.unless(!within, "host", "this address is out of bounds; OUTBOUND_ALLOWED_NETWORKS can open it");
    }

    fn port(&mut self, settings: &EndpointSettings) {
        let missing = settings.port.is_none() && settings.direction != "inbound";
        self.unless(!missing, "port", "is needed to send to this endpoint");
        let good = settings.port.is_none_or(|port| (1..=65_535).contains(&port));
        self.unless(good, "port", "must be between 1 and 65535");
    }

    fn certificate(&mut self, settings: &EndpointSettings) {
        let field = "client_cert_fingerprint";
        let pinned = settings.client_cert_fingerprint.as_deref();
        let read = pinned.is_none_or(|text| Fingerprint::parse(text).is_some());
        self.unless(read, field, "must be 64 hexadecimal digits, the SHA-256 of a certificate");
        let used = pinned.is_none() || settings.direction != "outbound";
        self.unless(
            used,
            field,
            "is for endpoints that connect to us; profile.tls is for those we connect to",
        );
    }

    fn networks(&mut self, blocks: &[String]) {
        let few = blocks.len() <= MOST_NETWORKS;
        self.unless(few, "allowed_networks", &format!("at most {MOST_NETWORKS} blocks"));
        let good = blocks.iter().all(|block| block.parse::<IpNet>().is_ok());
        self.unless(good, "allowed_networks", "must be CIDR blocks, such as 10.1.0.0/16");
    }

    /// The names stand in MSH, where the delimiters are declared: escapes are not understood there by every receiver.
    fn names(&mut self, settings: &EndpointSettings) {
        let names = [
            ("receiving_application", Some(&settings.receiving_application)),
            ("receiving_facility", Some(&settings.receiving_facility)),
            ("sending_application", settings.sending_application.as_ref()),
            ("sending_facility", settings.sending_facility.as_ref()),
        ];
        for (field, name) in names {
            let Some(name) = name else { continue };
            self.line(field, name, LONGEST_HL7_NAME);
            let plain = !name.contains(['|', '^', '~', '\\', '&']);
            self.unless(plain, field, "must not contain the delimiters of HL7");
        }
    }

    fn wire(&mut self, settings: &EndpointSettings) {
        let version = settings.hl7_version.as_str();
        self.unless(is_version(version), "hl7_version", "must be a version of HL7 v2, such as 2.5.1");
        let charset = settings.charset.as_deref();
        let known = charset.is_none_or(|charset| Charset::parse(charset).is_some());
        self.unless(known, "charset", "must be a character set of HL7 table 0211");
        let short = charset.is_none_or(|charset| charset.chars().count() <= 30);
        self.unless(short, "charset", "must not be longer than 30 characters");
        let zone = settings.time_zone.parse::<chrono_tz::Tz>();
        self.unless(zone.is_ok(), "time_zone", "must be an IANA time zone, such as Europe/Berlin");
        let too_old = settings.order_message == "OML_O21" && version_number(version) < Some((2, 5, 0));
        self.unless(!too_old, "order_message", "OML_O21 is sent in version 2.5 and later");
        if let Err(why) = CodeMap::read(&settings.code_map) {
            self.add("code_map", why);
        }
    }

    fn profile(&mut self, settings: &EndpointSettings) {
        self.unless(settings.profile.is_object(), "profile", "must be an object");
        match Habits::read(&settings.profile) {
            Ok(habits) => {
                let files = habits.directory.is_some() || habits.sftp.is_some();
                let good = !files || settings.direction != "outbound";
                self.unless(good, "profile", "directory and sftp are for endpoints that send to us");
                self.publications(settings, &habits);
            }
            Err(BadHabit(why)) => self.add("profile", why),
        }
        // As JSON writes the one character that PostgreSQL cannot store.
        let storable = !settings.profile.to_string().contains("\\u0000");
        self.unless(storable, "profile", "must not contain control characters");
    }

    fn publications(&mut self, settings: &EndpointSettings, habits: &Habits) {
        let sent_to = habits.publish.is_empty() || settings.direction != "inbound";
        self.unless(sent_to, "profile", "publish is for endpoints that we send to");
        let scheduling = habits.publish.contains(&Publication::Booking);
        let too_old = scheduling && version_number(&settings.hl7_version) < Some((2, 3, 0));
        self.unless(!too_old, "profile", "SIU_S12 is sent in version 2.3 and later");
    }
}

/// `2.` and one or two digits of one place each.
fn is_version(version: &str) -> bool {
    let numbers = version.strip_prefix("2.").unwrap_or_default().split('.');
    let is_digit = |number: &str| number.len() == 1 && number.bytes().all(|digit| digit.is_ascii_digit());
    numbers.clone().count() <= 2 && numbers.clone().all(is_digit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lab() -> EndpointSettings {
        EndpointSettings {
            name: "City lab".into(),
            host: Some("lis.example.org".into()),
            port: Some(2575),
            charset: Some("8859/1".into()),
            time_zone: "Europe/Berlin".into(),
            allowed_networks: vec!["10.0.0.0/8".into(), "2001:db8::/32".into()],
            ..EndpointSettings::default()
        }
    }

    type Spoil = fn(&mut EndpointSettings);

    #[test]
    fn a_good_one_passes_and_each_fault_names_its_field() {
        assert!(faults(&lab(), &[]).is_empty());
        let table: [(&str, Spoil); 29] = [
            ("name", |s| s.name = " ".into()),
            ("name", |s| s.name = "a\rMSH".into()),
            ("direction", |s| s.direction = "sideways".into()),
            ("host", |s| s.host = None),
            ("host", |s| s.host = Some("a b".into())),
            ("host", |s| s.host = Some("user@host/".into())),
            ("port", |s| s.port = None),
            ("port", |s| s.port = Some(0)),
            ("port", |s| s.port = Some(65_536)),
            ("client_cert_fingerprint", |s| s.client_cert_fingerprint = Some("SHA256:abc".into())),
            ("client_cert_fingerprint", |s| {
                s.direction = "outbound".into();
                s.client_cert_fingerprint = Some("ab".repeat(32));
            }),
            ("profile", |s| s.profile = json!({ "tls": { "min_version": "1.1" } })),
            ("profile", |s| s.profile = json!({ "tls": { "verify": false } })),
            ("allowed_networks", |s| s.allowed_networks = vec!["10.0.0.0/33".into()]),
            ("receiving_application", |s| s.receiving_application = "A|B".into()),
            ("sending_facility", |s| s.sending_facility = Some("A^B".into())),
            ("order_message", |s| s.order_message = "ORU_R01".into()),
            ("hl7_version", |s| s.hl7_version = "3.0".into()),
            ("hl7_version", |s| s.hl7_version = "2.5.1.1".into()),
            ("ack_mode", |s| s.ack_mode = "none".into()),
            ("time_zone", |s| s.time_zone = "Mars/Olympus".into()),
            ("order_message", |s| {
                s.order_message = "OML_O21".into();
                s.hl7_version = "2.4".into();
            }),
            ("code_map", |s| s.code_map = json!({"CBC": 1})),
            ("profile", |s| s.profile = json!([])),
            ("profile", |s| s.profile = json!({ "a": "b" })),
            ("profile", |s| {
                s.direction = "outbound".into();
                s.profile = json!({ "directory": { "path": "/in/city" } });
            }),
            ("profile", |s| s.profile = json!({ "publish": ["ADT_A08"] })),
            ("profile", |s| {
                s.direction = "inbound".into();
                s.profile = json!({ "publish": ["ADT_A03"] });
            }),
            ("profile", |s| {
                s.hl7_version = "2.2".into();
                s.profile = json!({ "publish": ["ADT_A03", "SIU_S12"] });
            }),
        ];
        for (expected, spoil) in table {
            let mut settings = lab();
            spoil(&mut settings);
            let found: Vec<_> = faults(&settings, &[]).iter().map(|fault| fault.field).collect();
            assert_eq!(found, [expected]);
        }
    }

    #[test]
    fn every_field_at_fault_is_named_once() {
        let settings = EndpointSettings {
            name: " ".into(),
            port: Some(0),
            host: Some("169.254.169.254".into()),
            ack_mode: "none".into(),
            profile: json!([]),
            ..lab()
        };
        let found: Vec<_> = faults(&settings, &[]).iter().map(|fault| fault.field).collect();
        assert_eq!(found, ["ack_mode", "name", "host", "port", "profile"]);
        let open = ["169.254.0.0/16".parse().unwrap()];
        assert!(faults(&settings, &open).iter().all(|fault| fault.field != "host"));
    }

    #[test]
    fn a_lab_that_only_sends_needs_no_address() {
        let settings = EndpointSettings { direction: "inbound".into(), host: None, port: None, ..lab() };
        assert!(faults(&settings, &[]).is_empty());
    }

    #[test]
    fn news_are_for_whom_we_send_to() {
        let profile = json!({ "publish": ["ADT_A03", "SIU_S12"] });
        for direction in ["outbound", "both"] {
            let settings =
                EndpointSettings { direction: direction.into(), profile: profile.clone(), ..lab() };
            assert!(faults(&settings, &[]).is_empty(), "{direction}");
        }
        let profile = json!({ "publish": ["ADT_A03"] });
        let old = EndpointSettings { hl7_version: "2.2".into(), profile, ..lab() };
        assert!(faults(&old, &[]).is_empty());
    }

    #[test]
    fn versions_in_use_are_taken() {
        for version in ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2"] {
            let settings = EndpointSettings { hl7_version: version.into(), ..lab() };
            assert!(faults(&settings, &[]).is_empty(), "{version}");
        }
    }
}
