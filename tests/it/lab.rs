//! Labs, as the tests play them: one that sends results, and one that takes orders.

use std::sync::{Arc, Mutex};

use pms::hl7::{
    ack::Reply,
    frame::{Frame, Framer, wrap},
    header::peek_header,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::app::PATIENCE;

/// A lab that sends.
pub(crate) struct Sender {
    pub(crate) stream: TcpStream,
    framer: Framer,
    frames: Vec<Frame>,
}

impl Sender {
    pub(crate) async fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, framer: Framer::new(1 << 20), frames: Vec::new() }
    }

    /// Writes bytes as they stand.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer. Panics when none comes.
    pub(crate) async fn answer(&mut self) -> Vec<u8> {
        self.try_answer().await.expect("the connection ended without an answer")
    }

    /// The next answer, or `None` when the connection ends first.
    pub(crate) async fn try_answer(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        loop {
            if !self.frames.is_empty() {
                let Frame::Message(bytes) = self.frames.remove(0) else { panic!("an oversize answer") };
                return Some(bytes);
            }
            let count = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("no answer in time")
                .unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.framer.push(&buffer[..count], &mut self.frames);
        }
    }

    /// Sends a message and reads its answer.
    pub(crate) async fn exchange(&mut self, message: &str) -> Vec<u8> {
        self.write(&wrap(message.as_bytes())).await;
        self.answer().await
    }

    /// Sends a message that must be taken.
    pub(crate) async fn deliver(&mut self, message: &str) {
        let answer = self.exchange(message).await;
        assert_eq!(code(&answer), "AA", "{}", String::from_utf8_lossy(&answer));
    }
}

/// MSA-1 of an answer.
pub(crate) fn code(answer: &[u8]) -> String {
    Reply::parse(answer).unwrap().code.as_str().to_owned()
}

/// MSA-2 of an answer.
pub(crate) fn answered(answer: &[u8]) -> String {
    Reply::parse(answer).unwrap().acknowledged_id.unwrap_or_default()
}

/// What a lab does with an order.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// A plain acknowledgment of this code.
    Ack(&'static str),
    /// A NAK with an error code in ERR-3.
    Nak(&'static str, &'static str),
    /// ORR^O02 with this ORC-1 for every order.
    Orr(&'static str),
    /// An acknowledgment of another message.
    WrongId,
    /// Bytes that are no message.
    Garbage,
    /// Nothing.
    Silence,
    /// The connection ends.
    Close,
}

/// A lab that takes orders. It writes down every byte, and answers in the manners given, the last one for ever.
pub(crate) struct FakeLis {
    pub(crate) port: u16,
    ledger: Arc<Mutex<Vec<Vec<u8>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl FakeLis {
    pub(crate) async fn start(manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, manners)
    }

    /// Starts on a port where nobody listened so far.
    pub(crate) async fn start_at(port: u16, manners: &[Manner]) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), manners)
    }

    fn on(listener: TcpListener, manners: &[Manner]) -> Self {
        let port = listener.local_addr().unwrap().port();
        let ledger = Arc::new(Mutex::new(Vec::new()));
        let manners = Arc::new(Mutex::new(manners.to_vec()));
        let shared = (ledger.clone(), manners);
        #[allow(clippy::disallowed_methods, reason = "a test's own task")]
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (ledger, manners) = shared.clone();
                tokio::spawn(serve(stream, ledger, manners));
            }
        });
        Self { port, ledger, task }
    }

    /// What arrived so far.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received_bytes().into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    /// The same as it came.
    pub(crate) fn received_bytes(&self) -> Vec<Vec<u8>> {
        self.ledger.lock().unwrap().clone()
    }
}

impl Drop for FakeLis {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, ledger: Arc<Mutex<Vec<Vec<u8>>>>, manners: Arc<Mutex<Vec<Manner>>>) {
    let mut framer = Framer::new(1 << 20);
    let mut buffer = [0; 4096];
    let mut frames = Vec::new();
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        framer.push(&buffer[..count], &mut frames);
        for frame in frames.drain(..) {
            let Frame::Message(bytes) = frame else { panic!("an oversize order") };
            ledger.lock().unwrap().push(bytes.clone());
            let manner = {
                let mut manners = manners.lock().unwrap();
                if manners.len() > 1 { manners.remove(0) } else { manners[0].clone() }
            };
            match reply(&bytes, &manner) {
                Some(reply) => stream.write_all(&reply).await.unwrap(),
                None if matches!(manner, Manner::Close) => return,
                None => {}
            }
        }
    }
}

fn reply(order: &[u8], manner: &Manner) -> Option<Vec<u8>> {
    let id = peek_header(order).unwrap().control_id;
    let head =
        |kind: &str| format!("MSH|^~\\&|LIS|LAB|PMS_LAB|MPS_PMS|20260302080000||{kind}|R{id}|P|2.5.1\r");
    let text = match manner {
        Manner::Ack(code) => format!("{}MSA|{code}|{id}\r", head("ACK^O01^ACK")),
        Manner::Nak(code, error) => {
            format!("{}MSA|{code}|{id}\rERR|||{error}^x^HL70357|E\r", head("ACK^O01^ACK"))
        }
        Manner::WrongId => format!("{}MSA|AA|SOMEBODY-ELSE\r", head("ACK^O01^ACK")),
        Manner::Orr(control) => {
            let order = String::from_utf8(order.to_vec()).unwrap();
            let placers = order.split('\r').filter(|line| line.starts_with("ORC|"));
            let lines = placers.enumerate().map(|(n, line)| {
                let placer = line.split('|').nth(2).unwrap();
                format!("ORC|{control}|{placer}|LAB{n}\r")
            });
            format!("{}MSA|AA|{id}\r{}", head("ORR^O02^ORR_O02"), lines.collect::<String>())
        }
        Manner::Garbage => return Some(wrap(b"not a message")),
        Manner::Silence | Manner::Close => return None,
    };
    Some(wrap(text.as_bytes()))
}

/// A message of results as a lab writes it: MSH, PID of Jane Doe, and the lines given.
pub(crate) fn oru(control_id: &str, sent: &str, lines: &[&str]) -> String {
    let head = format!(
        "MSH|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|{sent}||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r"
    );
    let patient = "PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F\r";
    format!("{head}{patient}{}\r", lines.join("\r"))
}

/// OBR of a report: placer, filler, code, OBR-22 and OBR-25.
pub(crate) fn obr(placer: &str, filler: &str, code: &str, changed: &str, status: &str) -> String {
    format!("OBR|1|{placer}|{filler}|{code}|||20260302070000|||||||||||||||{changed}|||{status}")
}

/// OBX of a number: code, value, units, range, flag, status.
pub(crate) fn obx(number: u32, code: &str, value: &str, units: &str, flag: &str, status: &str) -> String {
    format!("OBX|{number}|NM|{code}||{value}|{units}||{flag}|||{status}")
}
