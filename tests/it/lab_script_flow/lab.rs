//! A lab that follows a script, a step for each try to send it something, and keeps a ledger of what it saw and said.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use pms::hl7::{
    frame::{Frame, Framer, wrap},
    header::peek_header,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::scripted_lab::answer;

/// What the lab does with a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// AA.
    Accept,
    /// CA, and no more.
    Commit,
    /// CA and AA, in one piece.
    CommitThenAccept,
    /// AE 101.
    Refuse,
    /// AR 207: not now.
    NotNow,
    /// AR 200: never.
    Never,
    /// AA to something else.
    WrongId,
    /// Two of the same AA in one piece.
    Twice,
    /// AA to the message before, and AA to this one, in one piece.
    BeforeAndThis,
    /// A frame that is no message.
    Garbage,
    /// Nothing, and the line stays open.
    Silence,
    /// AA after the sender has given up waiting.
    Late,
    /// The line ends without a word.
    Close,
    /// The line is reset after so many bytes of the order, of its frame.
    ResetInOrder(usize),
    /// The line is reset after so many bytes of an AA, of its frame.
    ResetInAnswer(usize),
}

/// Something the lab said, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) control_id: String,
    pub(super) code: &'static str,
    /// In time, to the message that had just come.
    pub(super) direct: bool,
}

/// What the lab saw and said, in order.
#[derive(Default)]
pub(super) struct Ledger {
    /// Whole messages: control id and bytes.
    pub(super) seen: Vec<(String, Vec<u8>)>,
    pub(super) said: Vec<Said>,
    script: VecDeque<Step>,
}

impl Ledger {
    /// The step of this try; who has no more of them accepts.
    fn step(&mut self) -> Step {
        self.script.pop_front().unwrap_or(Step::Accept)
    }

    fn say(&mut self, control_id: &str, code: &'static str, direct: bool) {
        self.said.push(Said { control_id: control_id.to_owned(), code, direct });
    }
}

/// The lab.
pub(super) struct Lab {
    pub(super) port: u16,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    task: Option<tokio::task::JoinHandle<()>>,
    pub(super) script: Vec<Step>,
}

impl Lab {
    /// A lab that has a port and does not listen yet: whoever connects is refused.
    pub(super) async fn closed(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ledger = Ledger { script: script.iter().copied().collect(), ..Ledger::default() };
        Self { port, ledger: Arc::new(Mutex::new(ledger)), task: None, script }
    }

    /// Begins to listen.
    pub(super) async fn open(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let ledger = self.ledger.clone();
        #[allow(clippy::disallowed_methods, reason = "a test's own task")]
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, ledger.clone()));
            }
        });
        self.task = Some(task);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn serve(mut stream: TcpStream, ledger: Arc<Mutex<Ledger>>) {
    stream.set_nodelay(true).unwrap();
    // A try begins when something can be read, or the sender has gone.
    while let Ok(1..) = stream.peek(&mut [0; 1]).await {
        let step = ledger.lock().unwrap().step();
        if let Step::ResetInOrder(bytes) = step {
            read_part(&mut stream, bytes).await;
            return reset(&stream);
        }
        let Some(message) = whole(&mut stream).await else { return };
        let id = peek_header(&message).unwrap().control_id;
        let before = {
            let mut ledger = ledger.lock().unwrap();
            let before = ledger.seen.iter().rev().map(|(id, _)| id.clone()).find(|other| *other != id);
            ledger.seen.push((id.clone(), message));
            before
        };
        if !follow(&mut stream, &ledger, step, &id, before).await {
            return;
        }
    }
}

/// Reads so many bytes of a frame, or all of it.
async fn read_part(stream: &mut TcpStream, bytes: usize) {
    let mut part = Vec::new();
    while part.len() < bytes && !part.ends_with(b"\x1c\r") {
        let Ok(byte) = stream.read_u8().await else { return };
        part.push(byte);
    }
}

/// The next whole message.
async fn whole(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut framer, mut frames, mut buffer) = (Framer::new(1 << 20), Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        framer.push(&buffer[..count], &mut frames);
        match frames.pop() {
            Some(Frame::Message(bytes)) => return Some(bytes),
            Some(Frame::Oversize { .. }) => panic!("an oversize order"),
            None => {}
        }
    }
}

/// Does what the script says; false: the line is over.
async fn follow(
    stream: &mut TcpStream,
    ledger: &Arc<Mutex<Ledger>>,
    step: Step,
    id: &str,
    before: Option<String>,
) -> bool {
    let ack = |code: &str, id: &str| wrap(answer(code, id, "").as_bytes());
    let nak =
        |code: &str, error: &str| wrap(answer(code, id, &format!("ERR|||{error}^x^HL70357|E\r")).as_bytes());
    let bytes = match step {
        Step::Accept => ack("AA", id),
        Step::Commit => ack("CA", id),
        Step::CommitThenAccept => [ack("CA", id), ack("AA", id)].concat(),
        Step::Refuse => nak("AE", "101"),
        Step::NotNow => nak("AR", "207"),
        Step::Never => nak("AR", "200"),
        Step::WrongId => ack("AA", "SOMEBODY-ELSE"),
        Step::Twice => [ack("AA", id), ack("AA", id)].concat(),
        Step::BeforeAndThis => [ack("AA", before.as_deref().unwrap_or(id)), ack("AA", id)].concat(),
        Step::Garbage => wrap(b"not a message"),
        Step::Silence | Step::ResetInOrder(_) => return true,
        Step::Late => {
            // Late is when the sender has given up, and with it the line.
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            ledger.lock().unwrap().say(id, "AA", false);
            let _ = stream.write_all(&ack("AA", id)).await;
            return true;
        }
        Step::Close => return false,
        Step::ResetInAnswer(bytes) => {
            let whole = ack("AA", id);
            let part = &whole[..bytes.min(whole.len())];
            // The last byte of a frame is not waited for, and whether it was read before the reset is anybody's guess.
            if part.len() + 1 >= whole.len() {
                ledger.lock().unwrap().say(id, "AA", false);
            }
            let _ = stream.write_all(part).await;
            reset(stream);
            return false;
        }
    };
    let written = stream.write_all(&bytes).await.is_ok();
    let code = match step {
        Step::Accept | Step::CommitThenAccept | Step::Twice | Step::BeforeAndThis => "AA",
        Step::Commit => "CA",
        Step::Refuse => "AE",
        Step::NotNow | Step::Never => "AR",
        _ => return written,
    };
    ledger.lock().unwrap().say(id, code, written);
    written
}

/// So that the line ends with RST instead of FIN.
fn reset(stream: &TcpStream) {
    stream.set_zero_linger().unwrap();
}
