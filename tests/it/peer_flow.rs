//! Senders as bad networks and bad programs make them: none harms another, and nothing is half stored.

use std::time::Duration;

use futures::future::join_all;
use pms::{
    hl7::frame::wrap,
    store::entity::{hl7_message, lab_result},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpSocket,
    time::{Instant, timeout},
};

use crate::{
    app::{Engine, TestApp, flows, until},
    http_door_flow::potassium,
    lab::{Sender, answered, code},
};

flows!(
    a_reset_at_every_byte_of_a_frame,
    two_hundred_senders_at_once,
    one_sender_too_many,
    sixteen_messages_under_way,
    a_sender_that_reads_late,
    a_sender_that_never_reads,
    a_frame_without_end,
    a_byte_now_and_then,
    frames_without_their_last_byte,
    a_frame_begun_in_a_frame,
);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A registration whose answer has sixty thousand bytes: a thousand observations that are filed nowhere, each told.
fn long_answer() -> String {
    let head = "MSH|^~\\&|HIS|CLINIC|PMS_LAB|MPS_PMS|20260302||ADT^A04^ADT_A01|LONG|P|2.5.1\rEVN|A04|20260302\rPID|1||700^^^MPS_PMS^MR||Roe^Ann||19800102|F\rPV1|1|O\r";
    let weights = (1..=1000).map(|n| format!("OBX|{n}|NM|WT^Weight||70|kg|||||F\r"));
    weights.fold(head.to_owned(), |text, line| text + &line)
}

async fn a_reset_at_every_byte_of_a_frame(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.jane().await;
    let (whole, cut) = (wrap(potassium("WHOLE", "4.0").as_bytes()), wrap(potassium("CUT", "4.1").as_bytes()));
    // With its end of block a message is whole, whatever becomes of the connection.
    for length in 0..cut.len() - 2 {
        let mut lab = app.lab().await;
        // The answer to what stands before proves that the piece was read.
        lab.write(&[&whole, &cut[..length]].concat()).await;
        assert_eq!(answered(&lab.answer().await), "WHOLE");
        lab.stream.set_zero_linger().unwrap();
    }
    // Nobody is in the middle of anything any more.
    app.restart().await;
    assert_eq!(app.count::<hl7_message::Entity>().await, 1);
    app.lab().await.deliver(&potassium("CUT", "4.1")).await;
    assert_eq!(app.count::<lab_result::Entity>().await, 2);
    app.finish().await;
}

async fn two_hundred_senders_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut labs = join_all((0..200).map(|_| app.lab())).await;
    join_all(labs.iter_mut().enumerate().map(async |(n, lab)| {
        let id = format!("S{n}");
        let answer = lab.exchange(&potassium(&id, "4.0")).await;
        assert_eq!((code(&answer), answered(&answer)), ("AA".to_owned(), id));
    }))
    .await;
    assert_eq!(app.count::<lab_result::Entity>().await, 200);
    app.finish().await;
}

async fn turned_away(app: &TestApp) -> u64 {
    let metrics = app.stranger().get("/metrics").await.body.as_str().unwrap_or_default().to_owned();
    let name = "pms_mllp_refused_connections_total{reason=\"too many connections\"}";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

async fn one_sender_too_many(engine: Engine) {
    let app = TestApp::start_with(engine, &[("MLLP_MAX_CONNECTIONS", "20")]).await;
    app.jane().await;
    let mut labs = join_all((0..20).map(|_| app.lab())).await;
    for (n, lab) in labs.iter_mut().enumerate() {
        lab.deliver(&potassium(&format!("S{n}"), "4.0")).await;
    }
    let before = turned_away(&app).await;
    for _ in 0..5 {
        assert!(app.lab().await.try_answer().await.is_none(), "the connection is closed at once");
    }
    assert!(turned_away(&app).await >= before + 5);
    for lab in &mut labs {
        let answer = lab.exchange(&potassium("AGAIN", "4.0")).await;
        assert_eq!(code(&answer), "AA", "those who are in are served");
    }
    drop(labs.pop());
    until("a place is free", async || {
        let mut lab = app.lab().await;
        // Turned away in the middle of writing.
        let written = lab.stream.write_all(&wrap(potassium("NEXT", "4.0").as_bytes())).await;
        written.ok()?;
        lab.try_answer().await
    })
    .await;
    app.finish().await;
}

async fn sixteen_messages_under_way(engine: Engine) {
    const ALL: usize = 160;
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let frame = |n: usize| wrap(potassium(&format!("W{n}"), "4.0").as_bytes());
    let first: Vec<u8> = (0..16).flat_map(frame).collect();
    lab.write(&first).await;
    for n in 0..ALL {
        let answer = lab.answer().await;
        assert_eq!((code(&answer), answered(&answer)), ("AA".to_owned(), format!("W{n}")));
        if n + 16 < ALL {
            lab.write(&frame(n + 16)).await;
        }
    }
    assert_eq!(app.count::<lab_result::Entity>().await, ALL as u64);
    app.finish().await;
}

/// A sender with little room for answers.
async fn narrow(app: &TestApp) -> Sender {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    Sender::over(socket.connect(([127, 0, 0, 1], app.mllp).into()).await.unwrap())
}

async fn a_sender_that_reads_late(engine: Engine) {
    const ALL: usize = 150;
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut other = app.lab().await;
    let late = narrow(&app).await;
    let frame = wrap(long_answer().as_bytes());
    // Nine megabytes of answers: more than lies between the two ends.
    let (reader, mut writer) = late.stream.into_split();
    let write = async {
        for _ in 0..ALL {
            writer.write_all(&frame).await.unwrap();
        }
        writer
    };
    let read = async {
        for n in 0..20 {
            other.deliver(&potassium(&format!("O{n}"), "4.0")).await;
        }
        answers(reader).await
    };
    let ((), lengths) = tokio::join!(async { drop(write.await) }, read);
    assert_eq!(lengths.len(), ALL, "every message has its answer");
    assert!(lengths[0] > 50_000 && lengths.iter().all(|length| *length == lengths[0]), "and the same one");
    assert_eq!(app.count::<hl7_message::Entity>().await, 21);
    app.finish().await;
}

/// Lengths of the answers until the connection ends.
async fn answers(reader: tokio::net::tcp::OwnedReadHalf) -> Vec<usize> {
    use pms::hl7::frame::{Frame, Framer};
    use tokio::io::AsyncReadExt;
    let (mut reader, mut framer, mut frames) = (reader, Framer::new(1 << 20), Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = timeout(PATIENCE, reader.read(&mut buffer)).await.expect("no end in time") {
        framer.push(&buffer[..count], &mut frames);
    }
    let length = |frame: &Frame| match frame {
        Frame::Message(bytes) => bytes.len(),
        Frame::Oversize { .. } => panic!("an oversize answer"),
    };
    frames.iter().map(length).collect()
}

async fn a_sender_that_never_reads(engine: Engine) {
    let settings = [("MLLP_IDLE_TIMEOUT_SECONDS", "1"), ("MLLP_MAX_CONNECTIONS", "1")];
    let app = TestApp::start_with(engine, &settings).await;
    app.jane().await;
    let mut stuck = narrow(&app).await;
    let frame = wrap(long_answer().as_bytes());
    let written = timeout(PATIENCE, async { while stuck.stream.write_all(&frame).await.is_ok() {} }).await;
    assert!(written.is_ok(), "the connection is given up");
    // Its place, the only one, is free for another.
    until("a place is free", async || {
        let mut lab = app.lab().await;
        lab.stream.write_all(&wrap(potassium("NEXT", "4.0").as_bytes())).await.ok()?;
        lab.try_answer().await
    })
    .await;
    app.finish().await;
}

/// Bytes without end, and never the end of the frame: over when the frame has had its time.
async fn a_frame_without_end(engine: Engine) {
    let settings = [("MAX_MESSAGE_SIZE", "1048576"), ("MLLP_FRAME_TIMEOUT_SECONDS", "1")];
    let app = TestApp::start_with(engine, &settings).await;
    app.jane().await;
    let (mut endless, mut other) = (app.lab().await, app.lab().await);
    // Before the first byte: its time runs from when that is read.
    let begun = Instant::now();
    endless.write(&[b"\x0b", potassium("ENDLESS", "4.0").as_bytes(), b"NTE|1|L|"].concat()).await;
    let chunk = [b'x'; 16 * 1024];
    let stream = timeout(PATIENCE, async { while endless.stream.write_all(&chunk).await.is_ok() {} });
    let between = potassium("OTHER", "4.0");
    let (ended, ()) = tokio::join!(stream, other.deliver(&between));
    assert!(ended.is_ok() && begun.elapsed() >= Duration::from_secs(1), "it ends when its time is up");
    assert!(endless.try_answer().await.is_none(), "nobody can say that it is whole");
    assert_eq!(app.count::<hl7_message::Entity>().await, 1);
    app.finish().await;
}

/// A byte now and then keeps no place.
async fn a_byte_now_and_then(engine: Engine) {
    let app = TestApp::start_with(engine, &[("MLLP_FRAME_TIMEOUT_SECONDS", "1")]).await;
    app.jane().await;
    let mut slow = app.lab().await;
    slow.write(b"\x0bMSH").await;
    let trickle = async {
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        while slow.stream.write_all(b"|").await.is_ok() {
            beat.tick().await;
        }
    };
    assert!(timeout(PATIENCE, trickle).await.is_ok(), "a frame has its time, however busy it looks");
    assert_eq!(app.count::<hl7_message::Entity>().await, 0);
    app.finish().await;
}

async fn frames_without_their_last_byte(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let bare = |id: &str| [b"\x0b", potassium(id, "4.0").as_bytes(), b"\x1c"].concat();
    lab.write(&[bare("A"), bare("B"), b"\r\r\n".to_vec(), bare("C")].concat()).await;
    for id in ["A", "B", "C"] {
        let answer = lab.answer().await;
        assert_eq!((code(&answer), answered(&answer)), ("AA".to_owned(), id.to_owned()));
    }
    assert_eq!(app.count::<lab_result::Entity>().await, 3);
    app.finish().await;
}

/// Whatever the place where a frame begins in another: what stood before it is no message, and what follows is.
async fn a_frame_begun_in_a_frame(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let (lost, kept) = (potassium("LOST", "4.0"), wrap(potassium("KEPT", "4.1").as_bytes()));
    for length in (0..=lost.len()).step_by(7) {
        lab.write(&[b"\x0b", &lost.as_bytes()[..length], &kept].concat()).await;
        let answer = lab.answer().await;
        assert_eq!((code(&answer), answered(&answer)), ("AA".to_owned(), "KEPT".to_owned()));
    }
    assert_eq!(app.count::<hl7_message::Entity>().await, 1);
    // The end of a message whose begin was lost is answered, and files nothing.
    let (_, end) = lost.split_at(lost.find("OBR").unwrap());
    let answer = lab.exchange(end).await;
    assert_eq!(code(&answer), "AE");
    assert_eq!(app.count::<lab_result::Entity>().await, 1);
    app.finish().await;
}
