//! A lab whose every word a test decides, one message at a time. It writes down every byte of a whole message that it saw.

use std::sync::{Arc, Mutex};

use pms::hl7::{
    frame::{Frame, Framer, wrap},
    header::peek_header,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use crate::app::PATIENCE;

/// The lab.
pub(crate) struct ScriptedLab {
    pub(crate) port: u16,
    orders: mpsc::UnboundedReceiver<Received>,
    ledger: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A message that came, and the connection to answer on.
pub(crate) struct Received {
    pub(crate) text: String,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    line: Line,
}

/// Bytes to write.
type Line = mpsc::UnboundedSender<Vec<u8>>;

impl ScriptedLab {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ledger = Arc::new(Mutex::new(Vec::new()));
        let (told, orders) = mpsc::unbounded_channel();
        let shared = ledger.clone();
        #[allow(clippy::disallowed_methods, reason = "a test's own task")]
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, connection, told.clone(), shared.clone()));
            }
        });
        Self { port, orders, ledger, task }
    }

    /// The next message. Panics when none comes.
    pub(crate) async fn next(&mut self) -> Received {
        timeout(PATIENCE, self.orders.recv()).await.expect("no message in time").unwrap()
    }

    /// A message that has come and nobody has taken yet, if there is one.
    pub(crate) fn now(&mut self) -> Option<Received> {
        self.orders.try_recv().ok()
    }

    /// Every whole message so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.ledger.lock().unwrap().clone()
    }
}

impl Drop for ScriptedLab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    /// MSH-10.
    pub(crate) fn control_id(&self) -> String {
        peek_header(self.text.as_bytes()).unwrap().control_id
    }

    /// The placer number of its first order.
    pub(crate) fn placer(&self) -> String {
        let line = self.text.split('\r').find(|line| line.starts_with("ORC|")).unwrap();
        line.split('|').nth(2).unwrap().split('^').next().unwrap().to_owned()
    }

    /// Writes bytes as they stand.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let _ = self.line.send(bytes.to_vec());
    }

    /// A plain acknowledgment.
    pub(crate) fn say(&self, code: &str) {
        self.write(&wrap(answer(code, &self.control_id(), "").as_bytes()));
    }

    /// An order reply.
    pub(crate) fn say_of_order(&self, code: &str, control: &str) {
        self.write(&wrap(self.order_reply(code, control).as_bytes()));
    }

    /// An order reply as text.
    pub(crate) fn order_reply(&self, code: &str, control: &str) -> String {
        let orc = format!("ORC|{control}|{}|L{}\r", self.placer(), self.placer());
        answer(code, &self.control_id(), &orc)
    }
}

/// An acknowledgment of a message, with what follows MSA.
pub(crate) fn answer(code: &str, control_id: &str, rest: &str) -> String {
    let kind = if rest.contains("ORC|") { "ORR^O02^ORR_O02" } else { "ACK^O01^ACK" };
    format!(
        "MSH|^~\\&|LIS|LAB|PMS_LAB|MPS_PMS|20260302080000||{kind}|{code}{control_id}|P|2.5.1\rMSA|{code}|{control_id}\r{rest}"
    )
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    told: mpsc::UnboundedSender<Received>,
    ledger: Arc<Mutex<Vec<String>>>,
) {
    stream.set_nodelay(true).unwrap();
    let (line, mut words): (Line, _) = mpsc::unbounded_channel();
    let mut framer = Framer::new(1 << 20);
    let (mut buffer, mut frames) = ([0; 4096], Vec::new());
    loop {
        tokio::select! {
            words = words.recv() => {
                let Some(bytes) = words else { return };
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            count = stream.read(&mut buffer) => {
                let Ok(count @ 1..) = count else { return };
                framer.push(&buffer[..count], &mut frames);
                for frame in frames.drain(..) {
                    let Frame::Message(bytes) = frame else { panic!("an oversize order") };
                    let text = String::from_utf8(bytes).unwrap();
                    ledger.lock().unwrap().push(text.clone());
                    let _ = told.send(Received { text, connection, line: line.clone() });
                }
            }
        }
    }
}
