#![allow(clippy::unwrap_used)]
//! The sender against a service of a few lines.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::hl7::header::peek_header;

const RESULT: &[u8] =
    b"MSH|^~\\&|LAB|L|PMS|H|2024||ORU^R01|C1|P|2.5.1\rPID|1||777\rORC|RE|P1|F1^LAB\rOBR|1|P1|F1^LAB|K\rOBX|1|NM|K||4\rOBR|2|P2||NA\r";

fn rendered(template: &Template, n: u64) -> String {
    let (mut buffer, mut id) = (Vec::new(), Vec::new());
    template.render("RUN", n, &mut buffer, &mut id);
    String::from_utf8(buffer).unwrap()
}

#[test]
fn numbers_are_new_and_everything_else_is_the_same() {
    let template = Template::new(RESULT);
    assert_eq!(
        rendered(&template, 37),
        "MSH|^~\\&|LAB|L|PMS|H|2024||ORU^R01|LRUN-11|P|2.5.1\rPID|1||777\rORC|RE|P1|LRUN-11.0^LAB\r\
         OBR|1|P1|LRUN-11.0^LAB|K\rOBX|1|NM|K||4\rOBR|2|P2|LRUN-11.1|NA\r"
    );
    let order = b"MSH|^~\\&|A|B|C|D|2024||ORM^O01|C1|P|2.5.1\nORC|NW|P1\nOBR|1|P1||CBC";
    assert_eq!(rendered(&Template::new(order), 0).replace("LRUN-0", "C1").as_bytes(), order);
    let adt = b"MSH$%~\\&$A$B$C$D$2024$$ADT%A01$C1\rPID$1\r";
    assert_eq!(rendered(&Template::new(adt), 1), "MSH$%~\\&$A$B$C$D$2024$$ADT%A01$LRUN-1\rPID$1\r");
    let (mut buffer, mut id) = (Vec::new(), Vec::new());
    template.as_it_stands(&mut buffer, &mut id);
    assert_eq!((buffer.as_slice(), id.as_slice()), (RESULT, b"C1".as_slice()));
}

#[test]
fn files_of_all_kinds() {
    let one = b"MSH|1\rPID|1\r".to_vec();
    let table: [(&[u8], usize); 5] = [
        (b"MSH|1\rPID|1\r\nMSH|1\rPID|1\r\n", 2),
        (b"MSH|1\rPID|1", 1),
        (b"BHS|x\rMSH|1\rPID|1\r\n\nBTS|1\r", 1),
        (b"\x0bMSH|1\rPID|1\r\x1c\r\x0bMSH|1\rPID|1\r\x1c\r", 2),
        (b"nothing", 0),
    ];
    for (file, count) in table {
        assert_eq!(messages(file), vec![one.clone(); count], "{file:?}");
    }
    assert_eq!(messages(b"MSH|1\nPID|1\n"), [b"MSH|1\nPID|1\n"]);
}

#[test]
fn an_answer_must_be_to_the_message() {
    let table = [
        ("MSH|^~\\&|A\rMSA|AA|C1\r", Ok("AA")),
        ("MSH|^~\\&|A\rMSA|CR|C1|text\rERR|1\r", Ok("CR")),
        ("MSH$%~\\&\nMSA$AE$C1", Ok("AE")),
        ("MSH|^~\\&|A\rMSA|AA|C2\r", Err("answer to another message")),
        ("MSH|^~\\&|A\rMSA|OK|C1\r", Err("unreadable answer")),
        ("{\"detail\": \"no\"}", Err("unreadable answer")),
    ];
    for (answer, expected) in table {
        assert_eq!(line::judge(answer.as_bytes(), b"C1"), expected, "{answer}");
    }
}

#[test]
fn a_plan_ends_by_number_or_by_time() {
    let plan = |total, span, rate| Plan { started: Instant::now(), total, span, rate, load: true };
    let counted = plan(Some(2), None, None);
    assert!(counted.moment(1).is_some() && counted.moment(2).is_none());
    let timed = plan(None, Some(Duration::from_secs(2)), Some(100.0));
    assert_eq!(timed.moment(150).unwrap() - timed.started, Duration::from_millis(1500));
    assert!(timed.moment(199).is_some() && timed.moment(200).is_none());
}

/// Answers every message with a code, by MLLP or HTTP, and keeps what it got.
struct Service {
    port: u16,
    got: Arc<Mutex<Vec<String>>>,
    tasks: TaskTracker,
}

async fn service(code: &'static str, http: bool) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, got, tasks) = (listener.local_addr().unwrap().port(), Arc::default(), TaskTracker::new());
    let (kept, customers): (Arc<Mutex<Vec<String>>>, _) = (Arc::clone(&got), tasks.clone());
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (stream, kept) = (BufReader::new(stream), kept.clone());
            customers.spawn(async move {
                if http { by_http(stream, code, &kept).await } else { by_mllp(stream, code, &kept).await }
            });
        }
    });
    Service { port, got, tasks }
}

fn answer(message: &[u8], code: &str, kept: &Mutex<Vec<String>>) -> String {
    let id = peek_header(message).unwrap().control_id;
    kept.lock().unwrap().push(String::from_utf8_lossy(message).into_owned());
    format!("MSH|^~\\&|X\rMSA|{code}|{id}\r")
}

async fn by_mllp(mut stream: BufReader<TcpStream>, code: &str, kept: &Mutex<Vec<String>>) {
    loop {
        let mut frame = Vec::new();
        if stream.read_until(b'\r', &mut frame).await.unwrap() == 0 {
            return;
        }
        while !frame.ends_with(b"\x1c\r") {
            assert!(stream.read_until(b'\r', &mut frame).await.unwrap() > 0);
        }
        let reply = answer(&frame[1..frame.len() - 2], code, kept);
        stream.write_all(format!("\x0b{reply}\x1c\r").as_bytes()).await.unwrap();
    }
}

async fn by_http(mut stream: BufReader<TcpStream>, code: &str, kept: &Mutex<Vec<String>>) {
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return;
            }
            let header = line.to_ascii_lowercase();
            length = header
                .strip_prefix("content-length: ")
                .map_or(length, |number| number.trim().parse().unwrap());
            if header.starts_with("x-api-key") {
                kept.lock().unwrap().push(header.trim().to_owned());
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let reply = answer(&body, code, kept);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
        stream.write_all((head + &reply).as_bytes()).await.unwrap();
    }
}

fn args(file: &std::path::Path, port: u16) -> SendArgs {
    SendArgs {
        input: file.to_owned(),
        host: "127.0.0.1".into(),
        port,
        http: false,
        endpoint: None,
        api_key: None,
        connections: 1,
        rate: None,
        seconds: None,
        count: None,
        timeout: 10.0,
        json: false,
    }
}

fn file_of(messages: &[&[u8]]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.to_vec()).collect();
    std::fs::write(file.path(), crate::sim::generate::file(&messages)).unwrap();
    file
}

#[tokio::test]
async fn plain_sending_is_in_order_and_changes_nothing() {
    let service = service("AA", false).await;
    let other = String::from_utf8_lossy(RESULT).replace("|C1|", "|C2|");
    let file = file_of(&[RESULT, other.as_bytes()]);
    let report = args(file.path(), service.port).run().await.unwrap();
    assert!(report.all_accepted() && report.sent == 2, "{report}");
    assert_eq!(*service.got.lock().unwrap(), [String::from_utf8_lossy(RESULT).into_owned(), other]);
    service.tasks.close();
}

#[tokio::test]
async fn load_is_spread_and_every_message_is_new() {
    let service = service("CA", false).await;
    let file = file_of(&[RESULT]);
    let load =
        SendArgs { connections: 4, count: Some(100), rate: Some(2000.0), ..args(file.path(), service.port) };
    let report = load.run().await.unwrap();
    assert!(report.all_accepted() && report.outcomes["CA"] == 100, "{report}");
    assert!(report.seconds >= 0.04, "the rate is kept: {report}");
    let mut got = service.got.lock().unwrap().clone();
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 100);
}

#[tokio::test]
async fn messages_by_http_carry_the_key() {
    let service = service("AA", true).await;
    let file = file_of(&[RESULT]);
    let endpoint = Some(format!("http://127.0.0.1:{}/api/hl7", service.port));
    let args =
        SendArgs { http: true, endpoint, api_key: Some("k1".into()), count: Some(3), ..args(file.path(), 1) };
    let report = args.run().await.unwrap();
    assert!(report.all_accepted() && report.sent == 3, "{report}");
    assert_eq!(service.got.lock().unwrap().iter().filter(|line| *line == "x-api-key: k1").count(), 3);
    assert!(Target::parse("https://x/", None).is_err() && Target::parse("x", None).is_err());
}

#[tokio::test]
async fn what_is_not_accepted_shows() {
    let service = service("AE", false).await;
    let file = file_of(&[RESULT]);
    let report = args(file.path(), service.port).run().await.unwrap();
    assert!(!report.all_accepted() && report.outcomes["AE"] == 1);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let load = SendArgs { count: Some(50), ..args(file.path(), closed) };
    let report = load.run().await.unwrap();
    assert_eq!((report.outcomes[line::UNREACHABLE], report.unsent), (5, 45));
    assert!(matches!(args(std::path::Path::new("/nowhere"), 1).run().await, Err(SendError::Input { .. })));
}
