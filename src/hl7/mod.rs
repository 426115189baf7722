//! The HL7 v2 codec: bytes to typed views and back. Pure: no I/O, no clock, no database.
//!
//! What comes in passes these layers, each a value the next one reads:
//!
//! ```text
//! TCP bytes ── frame ──► frame bytes ── batch ──► message bytes ── charset ──► text
//!   text ── message ──► segments, fields, components (borrowed, no copies)
//!   message ── header, oru, orm, adt ──► owned typed values, in words of the laboratory
//! ```
//!
//! What goes out: [`ack`] answers a received header ([`ack_orders`]: with a word on each order), [`order_build`] writes orders
//! (`study_build`: what only imaging needs of one), [`adt_build`] and [`siu_build`] the news that we publish; [`orr`] and
//! [`oru_build`] are the other side of the conversation, used by the simulator. All of them share [`outbound`] and write
//! through [`build`], where every value is escaped, so no name can add a segment.
//!
//! Small parts: [`escape`], [`datetime`], [`value`] (OBX-5 by OBX-2), [`number`], [`document`], [`datatypes`] (CX, XPN, XCN,
//! CWE …), [`patient`] (PID, PV1), [`order`] (ORC, OBR), [`specimen`] (SPM, OBR-15), [`path`] (`PID-3[1].1`), [`tree`]
//! (a message for the eye).
//!
//! Two kinds of trouble, and neither carries content of the message:
//! * [`Fault`]: the message cannot be taken; a code of table 0357 and a place, ready for ERR.
//! * [`Warning`]: it was taken although something was wrong; a word and a place.
//!
//! Positions of fields are known in this module and nowhere else.

pub mod ack;
pub mod ack_orders;
pub mod adt;
pub mod adt_build;
pub mod batch;
pub mod build;
pub mod charset;
pub mod datatypes;
pub mod datetime;
pub mod delimiters;
pub mod document;
mod document_parts;
pub mod escape;
pub mod fault;
pub mod frame;
pub mod header;
pub mod message;
pub mod number;
pub mod observation;
pub mod order;
pub mod order_build;
pub mod orm;
pub mod orr;
pub mod oru;
pub mod oru_build;
pub mod outbound;
pub mod path;
pub mod patient;
pub mod positions;
pub mod segment;
pub mod siu;
pub mod siu_build;
pub mod specimen;
mod study_build;
pub mod tree;
pub mod value;

pub use fault::{ErrorCode, Fault, Location, SegmentName, Warning};

/// Hides the content of types that hold patient data: their `Debug` prints the name only, so a
/// stray `{:?}` in a log line cannot leak.
macro_rules! redact_debug {
    ($($name:ident),+ $(,)?) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([phi])"))
            }
        }
    )+};
}
pub(crate) use redact_debug;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything the intake does with bytes, and the answer to them.
    fn pipeline(bytes: &[u8]) -> Result<(), Fault> {
        let peek = header::peek_header(bytes);
        let outcome = read_all(bytes);
        let faults: Vec<Fault> = outcome.clone().err().into_iter().collect();
        let header = peek.unwrap_or_default();
        let code = if faults.is_empty() { ack::AckCode::AA } else { ack::AckCode::AE };
        let answer = ack::Ack {
            header: &header,
            code,
            control_id: "1",
            time: "20240315",
            application: "A",
            facility: "F",
            faults: &faults,
            warnings: &[],
            told: &[],
            orders: None,
        };
        let reply = ack::Reply::parse(&answer.build()).expect("an answer can be read");
        assert_eq!(reply.code, code);
        outcome
    }

    fn read_all(bytes: &[u8]) -> Result<(), Fault> {
        batch::pieces(bytes);
        let decoded = charset::decode(bytes, Some(charset::Charset::LATIN_1))?;
        let message = message::Message::parse(&decoded.text)?;
        tree::tree(&message);
        let _ = (orm::Orm::read(&message), adt::Adt::read(&message));
        oru::Oru::read(&message).map(|_| ())
    }

    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let name =
            prop_oneof!["OBX", "OBR", "PID", "NTE", "ORC", "SPM", "PV1", "TQ1", "MSH", "ERR", "[A-Z]{3}"];
        let kind = prop_oneof!["NM", "SN", "ED", "CWE", "DTM", "FT", ""];
        let tail = proptest::collection::vec(
            prop_oneof![
                Just(b'|'),
                Just(b'^'),
                Just(b'~'),
                Just(b'&'),
                Just(b'\\'),
                Just(b'\n'),
                b'0'..=b'9',
                any::<u8>()
            ],
            0..60,
        );
        let line = (name, kind, tail)
            .prop_map(|(n, k, t)| [n.as_bytes(), b"|1|", k.as_bytes(), b"|", &t, b"\r"].concat());
        proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn no_bytes_can_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = pipeline(&bytes);
        }

        #[test]
        fn no_message_can_panic(body in lines(), msh_18 in "8859/1|UNICODE UTF-8|BIG-5||ISO IR87|X") {
            let header = format!("MSH|^~\\&|A|B|C|D|2024||ORU^R01|7|P|2.5.1||||||{msh_18}\r");
            let _ = pipeline(&[header.as_bytes(), &body].concat());
        }
    }
}
