//! ORR^O02 and ORL^O22: the laboratory's answer to an order, with its decision on each test.

use super::ack::AckCode;
use super::build::Writer;
use super::charset::{self, Unencodable};
use super::orm::Envelope;

/// An answer to an order.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderReply {
    /// MSH.
    pub envelope: Envelope,
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2: MSH-10 of the order.
    pub acknowledged_id: String,
    /// One ORC each.
    pub orders: Vec<OrderDecision>,
}

/// What the laboratory says about one test.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OrderDecision {
    /// ORC-1: `OK`, `UA`, `CR`, `UC` …
    pub control: String,
    /// ORC-2.
    pub placer: String,
    /// ORC-3.
    pub filler: String,
    /// ORC-5: `IP`, `SC`, `CA` …
    pub status: String,
}

super::redact_debug!(OrderReply, OrderDecision);

impl OrderReply {
    /// ORR^O02 as text.
    pub fn build(&self) -> String {
        let mut writer = Writer::new(self.envelope.delimiters);
        self.envelope.write(&mut writer, ["ORR", "O02", "ORR_O02"]);
        writer.segment("MSA").text(1, self.code.as_str()).text(2, &self.acknowledged_id).end();
        for order in &self.orders {
            writer
                .segment("ORC")
                .text(1, &order.control)
                .text(2, &order.placer)
                .text(3, &order.filler)
                .text(5, &order.status)
                .end();
        }
        writer.finish()
    }

    /// The same in the envelope's character set.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unencodable> {
        charset::encode(&self.build(), self.envelope.charset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::ack::Reply;

    #[test]
    fn a_reply_is_read_as_written() {
        let reply = OrderReply {
            envelope: crate::hl7::order_build::tests::envelope("2.5.1"),
            code: AckCode::AA,
            acknowledged_id: "C|1".into(),
            orders: vec![OrderDecision {
                control: "OK".into(),
                placer: "P1".into(),
                filler: "F&1".into(),
                status: "IP".into(),
            }],
        };
        let read = Reply::parse(&reply.to_bytes().unwrap()).unwrap();
        assert_eq!((read.code, read.acknowledged_id.as_deref()), (AckCode::AA, Some("C|1")));
        assert_eq!(read.message_code.as_deref(), Some("ORR"));
        assert_eq!(read.orders[0].filler.as_deref(), Some("F&1"));
        assert_eq!(read.orders[0].status.as_deref(), Some("IP"));
    }
}
