#![allow(clippy::unwrap_used)]
//! The laboratory as its client sees it: orders in by TCP, results out by TCP.

use std::collections::HashMap;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use super::*;
use crate::hl7::{
    ack::{Ack, AckCode, Reply},
    frame::{Frame, Framer, wrap},
    header::peek_header,
    message::Message,
    oru::{Oru, OruView},
};

const ORDER: &str = "MSH|^~\\&|CLINIC|HOSP|SIM_LIS|SIM_LAB|20240315103000+0000||ORM^O01^ORM_O01|O1|P|2.5.1\r\
PID|1||12345^^^HOSP^MR||Zo\\T\\e^Jane||19900315|F\r\
ORC|NW|7-1^CLINIC\rOBR|1|7-1^CLINIC||BMP^Basic^L^24321-2^^LN\r\
ORC|NW|7-2^CLINIC\rOBR|2|7-2^CLINIC||CBC^Count^L\r\
ORC|NW|7-3^CLINIC\rOBR|3|7-3^CLINIC||ODDITY^Odd test^L\r";
const WAIT: Duration = Duration::from_secs(20);

struct Bench {
    orders: TcpStream,
    results: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A laboratory whose seconds are hundredths, and a client that accepts all its results.
async fn bench(change: impl FnOnce(&mut LisOptions)) -> Bench {
    let inbox = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let results_to = ("127.0.0.1".to_owned(), inbox.local_addr().unwrap().port());
    let mut options = LisOptions { pace: Duration::from_millis(10), ..LisOptions::new(listener, results_to) };
    change(&mut options);
    let (sender, results) = mpsc::unbounded_channel();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(run(options, stop.clone()));
    let ended = stop.clone();
    tasks.spawn(async move {
        ended.run_until_cancelled(accept_results(inbox, sender)).await;
    });
    Bench { orders: TcpStream::connect(address).await.unwrap(), results, stop, tasks }
}

async fn accept_results(inbox: TcpListener, results: mpsc::UnboundedSender<String>) {
    let (mut stream, _) = inbox.accept().await.unwrap();
    while let Some(bytes) = next_frame(&mut stream).await {
        let header = peek_header(&bytes).unwrap();
        let ack = Ack {
            header: &header,
            code: AckCode::AA,
            control_id: "1",
            time: "2024",
            application: "",
            facility: "",
            faults: &[],
            warnings: &[],
            told: &[],
            orders: None,
        };
        stream.write_all(&wrap(&ack.build())).await.unwrap();
        let _ = results.send(String::from_utf8(bytes).unwrap());
    }
}

async fn next_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut framer, mut frames, mut byte) = (Framer::new(100_000), Vec::new(), [0; 1]);
    loop {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        framer.push(&byte, &mut frames);
        if let Some(Frame::Message(bytes)) = frames.pop() {
            return Some(bytes);
        }
    }
}

impl Bench {
    async fn ask(&mut self, message: &str) -> Reply {
        self.orders.write_all(&wrap(message.as_bytes())).await.unwrap();
        let bytes = timeout(WAIT, next_frame(&mut self.orders)).await.unwrap().unwrap();
        Reply::parse(&bytes).unwrap()
    }

    async fn result(&mut self) -> OruView {
        let text = timeout(WAIT, self.results.recv()).await.unwrap().unwrap();
        let message = Message::parse(&text).unwrap();
        let view = Oru::read(&message).unwrap();
        assert!(message.warnings().is_empty() && view.warnings.is_empty(), "{text}");
        view
    }

    /// Results of an order, until every test is final: placer, OBR-25, flags.
    async fn until_final(&mut self, tests: usize) -> Vec<(String, char, Vec<String>)> {
        let mut seen = Vec::new();
        while seen.iter().filter(|(_, status, _)| *status == 'F').count() < tests {
            let view = self.result().await;
            for group in &view.patients[0].groups {
                let flags = group.observations.iter().flat_map(|found| found.flags.clone()).collect();
                seen.push((group.placer().id.clone().unwrap(), group.request.status.unwrap(), flags));
            }
        }
        seen
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        timeout(WAIT, self.tasks.wait()).await.unwrap();
    }
}

#[tokio::test]
async fn an_order_is_accepted_received_and_reported() {
    let mut bench = bench(|_| {}).await;
    let reply = bench.ask(ORDER).await;
    assert_eq!((reply.code, reply.acknowledged_id.as_deref()), (AckCode::AA, Some("O1")));
    assert_eq!((reply.message_code.as_deref(), reply.orders.len()), (Some("ACK"), 0));

    let received = bench.result().await;
    let person = &received.patients[0];
    let patient = person.patient.as_ref().unwrap();
    assert_eq!((patient.family(), patient.given()), (Some("Zo&e"), Some("Jane")));
    assert_eq!(patient.mrn(Some("HOSP")).unwrap().id.as_deref(), Some("12345"));
    assert_eq!(received.header.receiving_application.key(), Some("CLINIC"));
    for (group, placer) in person.groups.iter().zip(["7-1", "7-2", "7-3"]) {
        assert_eq!(group.placer().id.as_deref(), Some(placer));
        assert_eq!(group.control.as_ref().unwrap().control.as_deref(), Some("SC"));
        assert_eq!((group.request.status, group.observations.len()), (Some('I'), 0));
    }

    let seen = bench.until_final(3).await;
    let flags =
        |placer: &str| seen.iter().filter(|row| row.0 == placer).flat_map(|row| &row.2).collect::<Vec<_>>();
    assert!(flags("7-1").iter().any(|flag| *flag == "HH"), "the first order's potassium is critical");
    assert!(!flags("7-2").iter().any(|flag| matches!(flag.as_str(), "HH" | "LL")));
    assert!(flags("7-3").is_empty(), "an unknown test has one result without flag");
    bench.end().await;
}

#[tokio::test]
async fn stages_of_a_test_come_in_their_order_and_under_one_number() {
    let mut bench = bench(|options| options.seed = 5).await;
    let (mut stages, mut fillers) = (HashMap::<String, String>::new(), HashMap::new());
    let orders = 12;
    for n in 0..orders {
        let order = ORDER.replace("7-", &format!("{n}-")).replace("|O1|", &format!("|O{n}|"));
        assert!(bench.ask(&order).await.code.is_accept());
    }
    let mut finals = 0;
    while finals < 3 * orders {
        for group in &bench.result().await.patients[0].groups {
            let placer = group.placer().id.clone().unwrap();
            let filler = group.filler().id.clone().unwrap();
            assert_eq!(fillers.entry(placer.clone()).or_insert(filler.clone()), &filler);
            let status = group.request.status.unwrap();
            finals += usize::from(status == 'F');
            stages.entry(placer).or_default().push(status);
            assert!(group.request.reported_at.is_some() && group.request.section.as_deref() == Some("LAB"));
        }
    }
    assert!(stages.values().all(|seen| matches!(seen.as_str(), "IF" | "IPF" | "IFC" | "IPFC")), "{stages:?}");
    assert!(
        stages.values().any(|seen| seen.contains('P')) && stages.values().any(|seen| !seen.contains('P'))
    );
    let mut numbers: Vec<&String> = fillers.values().collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 3 * orders);
    bench.end().await;
}

#[tokio::test]
async fn decisions_on_each_test_when_asked_for() {
    let mut bench = bench(|options| options.reply = ReplyStyle::Orr).await;
    let reply = bench.ask(ORDER).await;
    assert_eq!((reply.message_code.as_deref(), reply.code), (Some("ORR"), AckCode::AA));
    let decided: Vec<_> =
        reply.orders.iter().map(|order| (order.control.as_deref(), order.placer.as_deref())).collect();
    assert_eq!(decided, [(Some("OK"), Some("7-1")), (Some("OK"), Some("7-2")), (Some("OK"), Some("7-3"))]);
    bench.until_final(3).await;
    let late = bench.ask(&ORDER.replace("ORC|NW", "ORC|CA").replace("|O1|", "|O2|")).await;
    assert!(late.orders.iter().all(|order| order.control.as_deref() == Some("UC")));
    bench.end().await;
}

#[tokio::test]
async fn a_cancelled_order_is_not_reported() {
    let mut bench = bench(|options| options.pace = Duration::from_millis(100)).await;
    assert!(bench.ask(ORDER).await.code.is_accept());
    let cancel = "MSH|^~\\&|CLINIC|HOSP|||2024||ORM^O01|O2|P|2.5.1\rORC|CA|7-1\rORC|CA|7-2\rORC|CA|7-3\r";
    assert!(bench.ask(cancel).await.code.is_accept());
    let other = ORDER.replace("7-", "8-").replace("|O1|", "|O3|");
    assert!(bench.ask(&other).await.code.is_accept());
    let seen = bench.until_final(3).await;
    assert!(seen.iter().all(|(placer, ..)| placer.starts_with("8-")), "{seen:?}");
    assert_eq!(bench.ask(&cancel.replace("7-", "9-")).await.code, AckCode::AE, "never ordered");
    bench.end().await;
}

#[tokio::test]
async fn nonsense_is_refused_and_the_next_order_taken() {
    let mut bench = bench(|_| {}).await;
    assert_eq!(bench.ask("PID|1").await.code, AckCode::AE);
    let without_order = ORDER.lines().next().unwrap().split('\r').next().unwrap();
    let reply = bench.ask(without_order).await;
    assert_eq!((reply.code, reply.acknowledged_id.as_deref()), (AckCode::AE, Some("O1")));
    assert_eq!(bench.ask(&ORDER.replace("ORM^O01^ORM_O01", "ADT^A01")).await.code, AckCode::AR);
    assert_eq!(bench.ask(&"MSH|^~\\&|A|B|C|D|2024||ORM^O01|X|P|2.5|".repeat(50_000)).await.code, AckCode::AE);
    assert!(bench.ask(ORDER).await.code.is_accept());
    bench.until_final(3).await;
    bench.end().await;
}

#[tokio::test]
async fn a_resent_order_is_accepted_again_and_done_once() {
    let mut bench = bench(|_| {}).await;
    for _ in 0..2 {
        assert!(bench.ask(ORDER).await.code.is_accept());
    }
    let next = ORDER.replace("7-", "8-").replace("|O1|", "|O2|");
    assert!(bench.ask(&next).await.code.is_accept());
    let seen = bench.until_final(6).await;
    for placer in ["7-1", "7-2", "7-3"] {
        assert_eq!(seen.iter().filter(|row| row.0 == placer && row.1 == 'F').count(), 1, "{placer}");
    }
    bench.end().await;
}

#[tokio::test]
async fn unsolicited_results_leave_the_guides_patient_alone() {
    let person = |mrn: &str| SimPatient { mrn: mrn.into(), ..SimPatient::default() };
    let mut bench = bench(|options| {
        options.unsolicited_every = Some(Duration::from_millis(5));
        options.patients = vec![person("12345"), person("777")];
    })
    .await;
    let mut critical = Vec::new();
    for _ in 0..8 {
        let view = bench.result().await;
        let person = &view.patients[0];
        assert_eq!(person.patient.as_ref().unwrap().mrn(None).unwrap().id.as_deref(), Some("777"));
        assert!(person.groups[0].placer().is_empty() && !person.groups[0].filler().is_empty());
        critical.push(view.observations().any(|found| found.flags.iter().any(|flag| flag == "HH")));
    }
    assert_eq!(critical, [false, true, false, false, false, true, false, false]);
    bench.end().await;
}
