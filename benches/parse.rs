//! How long it takes to read a result message of about 700 bytes, beside two parsers of others.
//!
//! `cargo bench --bench parse`. "structure" is what all three do: segments and fields to ask for. "values" reads what a chart
//! needs of each observation: code, name, value, units, range, flag and status, escapes decoded. Ours does more for it: the
//! character set is checked, times, numbers, names, identifiers and codes are typed values, and every leniency is noted.
#![allow(clippy::unwrap_used, reason = "a message that cannot be read stops the benchmark")]

use divan::{Bencher, black_box, counter::BytesCount};
use pms::hl7::{charset, message::Message, oru::Oru};

/// Fields of OBX that a chart needs.
const FIELDS: [u16; 6] = [3, 5, 6, 7, 8, 11];

const ORU: &str = "MSH|^~\\&|CITYLAB|CITY|PMS_LAB|MPS_PMS|20260302080000+0100||ORU^R01^ORU_R01|CL0000417|P|2.5.1|||AL|NE\r\
PID|1||12345^^^MPS_PMS^MR||Doe^Jane^Q^^^^L||19900315|F\r\
PV1|1|O|W1^12^B||||7^Smith^Jo^^^Dr.\r\
ORC|RE|41-1^PMS|F4711^CITYLAB\r\
OBR|1|41-1^PMS|F4711^CITYLAB|BMP^Basic panel^L^24321-2^^LN|||20260302070000+0100|||||||||7^Smith^Jo||||||20260302075500+0100|||F\r\
OBX|1|NM|2823-3^Potassium^LN^K^Potassium^L||4.1|mmol/L|3.5-5.1|N|||F\r\
OBX|2|NM|2951-2^Sodium^LN^NA^Sodium^L||140|mmol/L|135-145|N|||F\r\
OBX|3|NM|2345-7^Glucose^LN^GLU^Glucose^L||98|mg/dL|70-99|N|||F\r\
OBX|4|SN|3094-0^Urea nitrogen^LN^BUN^Urea^L||<^5|mg/dL|7-20|L|||F\r\
OBX|5|TX|NOTE^Comment^L||Haemolysis \\T\\ lipaemia: none|||N|||F\r";

fn main() {
    divan::main();
}

mod structure {
    use super::{Bencher, BytesCount, Message, ORU, black_box};

    #[divan::bench]
    fn pms(bencher: Bencher) {
        let read = || Message::parse(black_box(ORU)).unwrap().segments().count();
        bencher.counter(BytesCount::of_str(ORU)).bench(read);
    }

    #[divan::bench]
    fn hl7_parser(bencher: Bencher) {
        let read = || hl7_parser::Message::parse(black_box(ORU)).unwrap().segments().count();
        bencher.counter(BytesCount::of_str(ORU)).bench(read);
    }

    #[divan::bench]
    fn rust_hl7(bencher: Bencher) {
        let read = || rusthl7::message::Message::new(black_box(ORU)).segments.len();
        bencher.counter(BytesCount::of_str(ORU)).bench(read);
    }
}

mod values {
    use super::{Bencher, BytesCount, FIELDS, Message, ORU, Oru, black_box, charset};

    #[divan::bench]
    fn pms(bencher: Bencher) {
        let read = || {
            let decoded = charset::decode(black_box(ORU.as_bytes()), None).unwrap();
            let view = Oru::read(&Message::parse(&decoded.text).unwrap()).unwrap();
            view.observations().count()
        };
        bencher.counter(BytesCount::of_str(ORU)).bench(read);
    }

    #[divan::bench]
    fn hl7_parser(bencher: Bencher) {
        let read = || {
            let message = hl7_parser::Message::parse(black_box(ORU)).unwrap();
            let observations = message.segments().filter(|segment| segment.name == "OBX");
            let value = |segment: &hl7_parser::message::Segment<'_>, n: u16| {
                let field = segment.field(usize::from(n))?;
                Some(message.separators.decode(field.raw_value()).to_string())
            };
            observations
                .flat_map(|obx| FIELDS.map(|n| value(obx, n)))
                .flatten()
                .map(|text| text.len())
                .sum::<usize>()
        };
        bencher.counter(BytesCount::of_str(ORU)).bench(read);
    }

    #[divan::bench]
    fn rust_hl7(bencher: Bencher) {
        let read = || {
            let message = rusthl7::message::Message::new(black_box(ORU));
            let decoder = rusthl7::escape_sequence::EscapeSequence::new(message.get_separators());
            let observations = message.segments_by_name("OBX").unwrap();
            let value = |n: u16, obx: &rusthl7::segments::Segment<'_>| {
                decoder.decode(obx.fields[usize::from(n)].as_str()).into_owned()
            };
            observations
                .iter()
                .flat_map(|obx| FIELDS.map(|n| value(n, obx)))
                .map(|text| text.len())
                .sum::<usize>()
        };
        bencher.counter(BytesCount::of_str(ORU)).bench(read);
    }
}
