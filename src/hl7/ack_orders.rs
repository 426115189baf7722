//! What an answer to an order message says of each order: ORR^O02 to ORM^O01 (HL7 v2.5.1 §4.4.2) and ORL^O22 to
//! OML^O21 (§4.4.7). Codes and numbers only: neither repeats the patient.

use super::build::Writer;
use super::datatypes::EntityId;

/// Which answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseKind {
    /// ORR^O02, to ORM^O01.
    Orr,
    /// ORL^O22, to OML^O21.
    Orl,
}

impl ResponseKind {
    /// By MSH-9.1 of the message answered.
    pub fn to(message_code: Option<&str>) -> Self {
        if message_code == Some("OML") { Self::Orl } else { Self::Orr }
    }

    /// Code, event and structure (MSH-9).
    pub(super) fn message_type(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Orr => ("ORR", "O02", "ORR_O02"),
            Self::Orl => ("ORL", "O22", "ORL_O22"),
        }
    }
}

/// The answers to the orders of one message.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderAnswers {
    /// Which message they make.
    pub kind: ResponseKind,
    /// One ORC each.
    pub orders: Vec<AnsweredOrder>,
}

/// The answer to one order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AnsweredOrder {
    /// ORC-1, table 0119: `OK`, `UA`, `CR` …
    pub control: &'static str,
    /// ORC-2, as sent.
    pub placer: EntityId,
    /// ORC-3.
    pub filler: EntityId,
    /// ORC-5, table 0038; empty when nothing can be said.
    pub status: &'static str,
}

super::redact_debug!(OrderAnswers, AnsweredOrder);

impl OrderAnswers {
    pub(super) fn write(&self, writer: &mut Writer) {
        for order in &self.orders {
            let orc = writer.segment("ORC").text(1, order.control);
            let orc = orc.parts(2, &order.placer.parts()).parts(3, &order.filler.parts());
            orc.text(5, order.status).end();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::ack::{Ack, AckCode, Reply};
    use crate::hl7::header::peek_header;
    use crate::hl7::{ErrorCode, Fault};

    fn number(id: &str) -> EntityId {
        EntityId { id: Some(id.into()), ..EntityId::default() }
    }

    fn built(kind: &str, version: &str, faults: &[Fault]) -> String {
        let text = format!("MSH|^~\\&|HIS|H|PMS|C|20240315||{kind}|C1|P|{version}");
        let header = peek_header(text.as_bytes()).unwrap();
        let placer = EntityId { namespace: Some("A&B".into()), ..number("P^1") };
        let orders = OrderAnswers {
            kind: ResponseKind::to(kind.split('^').next()),
            orders: vec![
                AnsweredOrder { control: "OK", placer, filler: number("7-1"), status: "IP" },
                AnsweredOrder { control: "UA", placer: number("P2"), ..AnsweredOrder::default() },
            ],
        };
        let ack = Ack {
            header: &header,
            code: if faults.is_empty() { AckCode::AA } else { AckCode::AE },
            control_id: "A1",
            time: "20240315103000+0000",
            application: "",
            facility: "",
            faults,
            warnings: &[],
            told: &[],
            orders: Some(&orders),
        };
        String::from_utf8(ack.build()).unwrap()
    }

    #[test]
    fn the_type_follows_the_message_and_its_version() {
        let table = [
            ("ORM^O01^ORM_O01", "2.5.1", "|ORR^O02^ORR_O02|"),
            ("ORM^O01", "2.3", "|ORR^O02|"),
            ("ORM", "2.2", "|ORR^O02|"),
            ("OML^O21^OML_O21", "2.5.1", "|ORL^O22^ORL_O22|"),
        ];
        for (kind, version, expected) in table {
            let text = built(kind, version, &[]);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn one_orc_each_behind_the_errors() {
        let fault = Fault::new(ErrorCode::UnknownKey, "patient");
        let text = built("ORM^O01", "2.5.1", &[fault]);
        let lines: Vec<&str> = text.split_terminator('\r').collect();
        assert_eq!(
            lines[1..],
            [
                "MSA|AE|C1|Unknown key identifier",
                "ERR|||204^Unknown key identifier^HL70357|E",
                "ORC|OK|P\\S\\1^A\\T\\B|7-1||IP",
                "ORC|UA|P2",
            ]
        );
        let read = Reply::parse(text.as_bytes()).unwrap();
        assert_eq!((read.message_code.as_deref(), read.orders.len()), (Some("ORR"), 2));
        assert_eq!(read.orders[0].placer.as_deref(), Some("P^1"));
    }
}
