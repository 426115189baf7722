//! Conservation: in a message that is accepted, every observation is stored, waits for a person, or is told of as left aside.
//! A property over messages that break the standard in every way at once, against a counter that knows nothing of the parser.

use std::collections::HashMap;

use chrono::DateTime;
use proptest::prelude::*;

use super::{Content, read};
use crate::{
    domain::{
        critical::CriticalFlags,
        ids::EndpointId,
        intake::{Decision, Ids, Known, Rules, decide},
    },
    lab::endpoint_profile::Profile,
};

/// Lines that begin with OBX and the separator, whatever ended the line before.
fn naive_count(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| matches!(byte, b'\r' | b'\n'));
    lines.map(<[u8]>::trim_ascii_start).filter(|line| *line == b"OBX" || line.starts_with(b"OBX|")).count()
}

fn filed(content: &Content) -> Option<usize> {
    let Content::Results(results) = content else { return None };
    let rules = Rules {
        thresholds: Vec::new(),
        critical_flags: CriticalFlags::default(),
        codes: HashMap::<(EndpointId, String, String), String>::new(),
        local_authority: "MPS_PMS".into(),
    };
    let mut ids = Ids::default();
    let decision: Decision = decide(results, &mut Known::default(), &rules, &mut ids);
    Some(decision.results.len() + decision.observations_in_review())
}

fn line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "OBX",
        "OBX",
        "OBX",
        "OBR",
        "ORC",
        "PID",
        "PV1",
        "NTE",
        "SPM",
        "TQ1",
        "ZZZ",
        "obx",
        "OBX1",
        " OBX",
        "SAC",
        "DSC",
        "the rest of a text",
    ]);
    let kind = prop::sample::select(vec!["NM", "ST", "TX", "ED", "CE", "SN", "", "QQ"]);
    let value = "[0-9A-Za-z ^~&\\\\|]{0,20}";
    let status = prop::sample::select(vec!["F", "P", "C", "X", "D", "W", "", "C^R", "?"]);
    let end = prop::sample::select(vec!["\r", "\r", "\r", "\n", "\r\n", "\r\r", ""]);
    (name, kind, value, status, end).prop_map(|(name, kind, value, status, end)| {
        format!("{name}|1|{kind}|K^Potassium||{value}|mmol/L||||||{status}{end}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_observation_of_an_accepted_message_is_accounted_for(
        kind in prop::sample::select(vec!["ORU^R01", "ORU", "ADT^A08", "SIU^S12"]),
        lines in prop::collection::vec(line(), 0..20),
        framed in any::<bool>(),
    ) {
        let opening = if framed { "PID|1||12345^^^MPS_PMS^MR||Doe\rOBR|1||F1|BMP\r" } else { "" };
        let header = format!("MSH|^~\\&|LAB|CITY|PMS|MPS|20260302||{kind}|1|P|2.5.1\r");
        let bytes = [header.as_bytes(), opening.as_bytes(), lines.concat().as_bytes()].concat();
        let received_at = DateTime::from_timestamp(1_772_000_000, 0).unwrap_or_default();
        let reading = read(&bytes, &Profile::loopback(), true, received_at);
        prop_assert_eq!(reading.observations, naive_count(&bytes), "counted in {:?}", String::from_utf8_lossy(&bytes));
        match &reading.content {
            Content::Results(_) => prop_assert_eq!(filed(&reading.content), Some(reading.observations)),
            Content::Event(_) | Content::Ignored => prop_assert_eq!(reading.told.len(), reading.observations),
            Content::Refused(_, faults) => prop_assert!(!faults.is_empty(), "a refusal says why"),
            Content::StrayAck => prop_assert!(false, "no acknowledgment was sent"),
        }
    }
}
