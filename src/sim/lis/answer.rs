//! Reading an order and answering it.

use chrono::{DateTime, FixedOffset};

use super::{
    ReplyStyle,
    counter::SharedBook,
    worksheet::{Order, Test},
};
use crate::{
    hl7::{
        ErrorCode, Fault,
        ack::{Ack, AckCode},
        charset::{self, Charset},
        header::{Header, HeaderPeek, peek_header},
        message::Message,
        orm::Orm,
        orr::{OrderDecision, OrderReply},
        oru::ResultGroup,
        patient::Patient,
    },
    sim::{self, SimPatient, numbering::Numbering},
};

/// An order as read.
pub(super) struct Request {
    header: Header,
    patient: SimPatient,
    lines: Vec<Line>,
}

/// One ORC with its OBR.
struct Line {
    cancels: bool,
    test: Test,
}

/// What is answered.
pub(super) struct Decision {
    code: AckCode,
    faults: Vec<Fault>,
    orders: Vec<OrderDecision>,
}

impl Decision {
    pub(super) fn refuse(fault: Fault) -> Self {
        let reject = matches!(fault.code, ErrorCode::UnsupportedMessageType | ErrorCode::UnsupportedEvent);
        let code = if reject { AckCode::AR } else { AckCode::AE };
        Self { code, faults: vec![fault], orders: Vec::new() }
    }
}

pub(super) fn oversize() -> Fault {
    Fault::new(ErrorCode::Internal, "larger than an order can be")
}

/// Reads an order. `None`: an acknowledgment, which is never answered.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Request>, Fault> {
    let decoded = charset::decode(bytes, Some(Charset::LATIN_1))?;
    let message = Message::parse(&decoded.text)?;
    let header = Header::read(&message);
    match header.message_code.as_deref() {
        Some("ORM" | "OML") => {}
        Some("ACK") => return Ok(None),
        _ => return Err(Fault::new(ErrorCode::UnsupportedMessageType, "not an order")),
    }
    let view = Orm::read(&message)?;
    let [person] = view.patients.as_slice() else {
        return Err(Fault::new(ErrorCode::OtherHl7, "orders for several patients"));
    };
    let patient = person.patient.as_ref().map(on_the_form).unwrap_or_default();
    let lines = person.groups.iter().map(Line::read).collect::<Option<Vec<_>>>();
    let lines = lines.ok_or(Fault::new(ErrorCode::RequiredFieldMissing, "an order without a test"))?;
    Ok(Some(Request { header: view.header, patient, lines }))
}

/// What the order says of the patient, and nothing that we might know better.
fn on_the_form(patient: &Patient) -> SimPatient {
    let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mrn = patient.mrn(None);
    SimPatient {
        mrn: own(mrn.and_then(|mrn| mrn.id.as_deref())),
        authority: own(mrn.and_then(|mrn| mrn.authority.key())),
        family: own(patient.family()),
        given: own(patient.given()),
        middle: own(patient.middle()),
        birth_date: patient.birth_date(),
        sex: own(patient.sex.as_deref()),
    }
}

impl Line {
    /// `None` when a new order names no test. A cancellation need not.
    fn read(group: &ResultGroup) -> Option<Self> {
        let control = group.control.as_ref().and_then(|control| control.control.as_deref());
        let cancels = matches!(control, Some("CA" | "DC"));
        let service = group.request.service.clone();
        let placer = group.placer().id.clone().unwrap_or_default();
        let test = Test { placer, filler: String::new(), service };
        (cancels || test.service.code.is_some()).then_some(Self { cancels, test })
    }
}

/// Takes new tests in and calls others off, in the book. `again`: the order is a resend, and its tests are in the book.
pub(super) fn decide(request: &Request, again: bool, book: &SharedBook, numbering: &Numbering) -> Decision {
    let decide = |line: &Line| {
        let placer = line.test.placer.clone();
        if !line.cancels {
            if !again {
                book.open(&placer);
            }
            let (control, status) = ("OK".to_owned(), "IP".to_owned());
            return OrderDecision { control, placer, filler: numbering.next('F'), status };
        }
        let (control, status) = if book.cancel(&placer) { ("CR", "CA") } else { ("UC", "CM") };
        OrderDecision { control: control.into(), placer, filler: String::new(), status: status.into() }
    };
    let orders: Vec<OrderDecision> = request.lines.iter().map(decide).collect();
    let too_late = orders.iter().all(|order| order.control == "UC");
    let fault = Fault::new(ErrorCode::UnknownKey, "not being worked on");
    let faults = if too_late { vec![fault] } else { Vec::new() };
    Decision { code: if too_late { AckCode::AE } else { AckCode::AA }, faults, orders }
}

impl Request {
    /// The tests to be worked on, under the numbers decided. `None` when there are none.
    pub(super) fn into_order(self, decision: &Decision, at: DateTime<FixedOffset>) -> Option<Order> {
        let name = |hd: &crate::hl7::datatypes::Hd| hd.key().unwrap_or_default().to_owned();
        let client = (name(&self.header.sending_application), name(&self.header.sending_facility));
        let decided = self.lines.into_iter().zip(&decision.orders).filter(|(line, _)| !line.cancels);
        let tests = decided.map(|(line, order)| Test { filler: order.filler.clone(), ..line.test });
        let tests: Vec<Test> = tests.collect();
        (!tests.is_empty()).then_some(Order { client, patient: self.patient, tests, at })
    }
}

/// The answer in bytes. An OML^O21 is answered by a plain ACK in either style, and so is a refusal.
pub(super) fn write(
    order: &[u8],
    decision: &Decision,
    style: ReplyStyle,
    control_id: &str,
    now: DateTime<FixedOffset>,
) -> Vec<u8> {
    let header = peek_header(order).unwrap_or_default();
    let in_detail = style == ReplyStyle::Orr && header.message_type.starts_with("ORM");
    if in_detail && !decision.orders.is_empty() {
        // UC is the answer to a late cancellation; the message as such was understood.
        if let Ok(bytes) = in_words(&header, decision, control_id, now).to_bytes() {
            return bytes;
        }
    }
    let time = crate::hl7::datetime::format_dtm(&now);
    let ack = Ack {
        header: &header,
        code: decision.code,
        control_id,
        time: &time,
        application: sim::APPLICATION,
        facility: sim::FACILITY,
        faults: &decision.faults,
        warnings: &[],
        told: &[],
        orders: None,
    };
    ack.build()
}

fn in_words(
    header: &HeaderPeek,
    decision: &Decision,
    control_id: &str,
    now: DateTime<FixedOffset>,
) -> OrderReply {
    let to = (header.sending_application.as_str(), header.sending_facility.as_str());
    let envelope = sim::envelope(to, control_id.to_owned(), now);
    let acknowledged_id = header.control_id.clone();
    OrderReply { envelope, code: AckCode::AA, acknowledged_id, orders: decision.orders.clone() }
}
