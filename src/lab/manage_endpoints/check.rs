//! What may stand in the settings of an endpoint. Pure.

use ipnet::IpNet;

use super::EndpointSettings;
use crate::{
    hl7::{build::version_number, charset::Charset},
    lab::{
        LabError,
        endpoint_profile::{BadHabit, Habits},
        order_profile::CodeMap,
    },
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
/// The longest name the DNS has.
const LONGEST_HOST: usize = 253;
const MOST_NETWORKS: usize = 100;

/// The first thing that is wrong.
pub(super) fn check(settings: &EndpointSettings) -> Result<(), LabError> {
    one_of("direction", &settings.direction, &DIRECTIONS)?;
    one_of("order_message", &settings.order_message, &ORDER_MESSAGES)?;
    one_of("ack_mode", &settings.ack_mode, &ACK_MODES)?;
    line("name", &settings.name, LONGEST_NAME)?;
    if settings.name.trim().is_empty() {
        return Err(LabError::invalid("name", "must not be empty"));
    }
    address(settings)?;
    if settings.tls {
        return Err(LabError::invalid("tls", "not available in this version"));
    }
    networks(&settings.allowed_networks)?;
    names(settings)?;
    wire(settings)
}

fn one_of(field: &'static str, value: &str, words: &[&str]) -> Result<(), LabError> {
    if words.contains(&value) {
        return Ok(());
    }
    Err(LabError::invalid(field, format!("must be one of {}", words.join(", "))))
}

fn line(field: &'static str, text: &str, longest: usize) -> Result<(), LabError> {
    if text.chars().any(char::is_control) {
        return Err(LabError::invalid(field, "must not contain control characters"));
    }
    if text.chars().count() > longest {
        return Err(LabError::invalid(field, format!("must not be longer than {longest} characters")));
    }
    Ok(())
}

fn address(settings: &EndpointSettings) -> Result<(), LabError> {
    let sends = settings.direction != "inbound";
    match settings.host.as_deref() {
        Some(host) => {
            line("host", host, LONGEST_HOST)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
            if host.is_empty() || !host.chars().all(plain) {
                return Err(LabError::invalid("host", "must be a host name or an address"));
            }
        }
        None if sends => return Err(LabError::invalid("host", "is needed to send to this endpoint")),
        None => {}
    }
    match settings.port {
        Some(port) if !(1..=65_535).contains(&port) => {
            Err(LabError::invalid("port", "must be between 1 and 65535"))
        }
        None if sends => Err(LabError::invalid("port", "is needed to send to this endpoint")),
        _ => Ok(()),
    }
}

fn networks(blocks: &[String]) -> Result<(), LabError> {
    if blocks.len() > MOST_NETWORKS {
        return Err(LabError::invalid("allowed_networks", format!("at most {MOST_NETWORKS} blocks")));
    }
    if blocks.iter().any(|block| block.parse::<IpNet>().is_err()) {
        return Err(LabError::invalid("allowed_networks", "must be CIDR blocks, such as 10.1.0.0/16"));
    }
    Ok(())
}

/// The names stand in MSH, where the delimiters are declared: escapes are not understood there by every receiver.
fn names(settings: &EndpointSettings) -> Result<(), LabError> {
    let names = [
        ("receiving_application", Some(&settings.receiving_application)),
        ("receiving_facility", Some(&settings.receiving_facility)),
        ("sending_application", settings.sending_application.as_ref()),
        ("sending_facility", settings.sending_facility.as_ref()),
    ];
    for (field, name) in names {
        let Some(name) = name else { continue };
        line(field, name, LONGEST_HL7_NAME)?;
        if name.contains(['|', '^', '~', '\\', '&']) {
            return Err(LabError::invalid(field, "must not contain the delimiters of HL7"));
        }
    }
    Ok(())
}

fn wire(settings: &EndpointSettings) -> Result<(), LabError> {
    let version = settings.hl7_version.as_str();
    let numbers = version.strip_prefix("2.").unwrap_or_default().split('.');
    let readable = numbers.clone().count() <= 2
        && numbers
            .clone()
            .all(|number| number.len() == 1 && number.bytes().all(|digit| digit.is_ascii_digit()));
    if !readable {
        return Err(LabError::invalid("hl7_version", "must be a version of HL7 v2, such as 2.5.1"));
    }
    if settings.charset.as_deref().is_some_and(|charset| Charset::parse(charset).is_none()) {
        return Err(LabError::invalid("charset", "must be a character set of HL7 table 0211"));
    }
    if settings.charset.as_deref().is_some_and(|charset| charset.chars().count() > 30) {
        return Err(LabError::invalid("charset", "must not be longer than 30 characters"));
    }
    if settings.time_zone.parse::<chrono_tz::Tz>().is_err() {
        return Err(LabError::invalid("time_zone", "must be an IANA time zone, such as Europe/Berlin"));
    }
    if !settings.profile.is_object() {
        return Err(LabError::invalid("profile", "must be an object"));
    }
    if settings.order_message == "OML_O21" && version_number(version) < Some((2, 5, 0)) {
        return Err(LabError::invalid("order_message", "OML_O21 is sent in version 2.5 and later"));
    }
    CodeMap::read(&settings.code_map).map_err(|why| LabError::invalid("code_map", why))?;
    let habits =
        Habits::read(&settings.profile).map_err(|BadHabit(why)| LabError::invalid("profile", why))?;
    if (habits.directory.is_some() || habits.sftp.is_some()) && settings.direction == "outbound" {
        return Err(LabError::invalid("profile", "directory and sftp are for endpoints that send to us"));
    }
    // As JSON writes the one character that PostgreSQL cannot store.
    if settings.profile.to_string().contains("\\u0000") {
        return Err(LabError::invalid("profile", "must not contain control characters"));
    }
    Ok(())
}

#[cfg(test)]
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
        assert!(check(&lab()).is_ok());
        let table: [(&str, Spoil); 23] = [
            ("name", |s| s.name = " ".into()),
            ("name", |s| s.name = "a\rMSH".into()),
            ("direction", |s| s.direction = "sideways".into()),
            ("host", |s| s.host = None),
            ("host", |s| s.host = Some("a b".into())),
            ("host", |s| s.host = Some("user@host/".into())),
            ("port", |s| s.port = None),
            ("port", |s| s.port = Some(0)),
            ("port", |s| s.port = Some(65_536)),
            ("tls", |s| s.tls = true),
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
        ];
        for (expected, spoil) in table {
            let mut settings = lab();
            spoil(&mut settings);
            let Err(LabError::Invalid { field, .. }) = check(&settings) else { panic!("{expected} passed") };
            assert_eq!(field, expected);
        }
    }

    #[test]
    fn a_lab_that_only_sends_needs_no_address() {
        let settings = EndpointSettings { direction: "inbound".into(), host: None, port: None, ..lab() };
        assert!(check(&settings).is_ok());
    }

    #[test]
    fn versions_in_use_are_taken() {
        for version in ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2"] {
            assert!(check(&EndpointSettings { hl7_version: version.into(), ..lab() }).is_ok(), "{version}");
        }
    }
}
