//! Documents in results: whatever type they claim to have, the chart shows what they are and hands out their bytes.

use base64::Engine;
use pms::{hl7::frame::wrap, store::entity::lab_result};
use reqwest::{Method, StatusCode};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine as Database, TestApp, flows},
    lab::{answered, code, obr, oru},
};

flows!(
    a_pdf_of_three_megabytes_in_a_text,
    a_pdf_in_every_wrong_type,
    a_changed_pdf_is_a_correction,
    a_final_word_keeps_the_document,
    parts_of_a_document_are_one,
    what_cannot_be_decoded_is_kept_as_sent,
);

/// A PDF of about this length that no other test has.
fn pdf(length: usize, mark: u8) -> Vec<u8> {
    let body: Vec<u8> = (0..length).map(|n| (n as u8).wrapping_mul(31).wrapping_add(mark)).collect();
    [b"%PDF-1.7\n".as_slice(), &body, b"\n%%EOF\n"].concat()
}

fn encoded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn report(id: &str, changed: &str, kind: &str, value: &str, status: &str) -> String {
    let line = format!("OBX|1|{kind}|PDF^Report^L||{value}||||||{status}");
    oru(id, changed, &[&obr("", "F1", "PATH", changed, status), &line])
}

async fn results(reader: &Actor, patient: i64) -> Vec<Value> {
    let list = reader.read(&format!("/api/lab-results?patient_id={patient}")).await;
    list.as_array().unwrap().clone()
}

/// Media type and bytes of a result's document.
async fn document(reader: &Actor, id: &Value) -> (String, Vec<u8>) {
    let path = format!("/api/lab-results/{id}/document");
    let answer = reader.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (media_type, answer.bytes().await.unwrap().to_vec())
}

async fn a_pdf_of_three_megabytes_in_a_text(engine: Database) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let sent = pdf(3_000_000, 1);
    app.lab().await.deliver(&report("1", "20260302080000", "TX", &encoded(&sent), "F")).await;
    let clinician = app.clinician().await;
    let shown = results(&clinician, jane).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["value"], "PDF document, 3.0 MB");
    assert_eq!(
        (&shown[0]["raw_value"], &shown[0]["document_type"]),
        (&Value::Null, &json!("application/pdf"))
    );
    let (media_type, bytes) = document(&clinician, &shown[0]["id"]).await;
    assert_eq!(media_type, "application/pdf");
    assert!(bytes == sent, "not one byte differs");
    app.finish().await;
}

async fn a_pdf_in_every_wrong_type(engine: Database) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let data = encoded(&pdf(2_000, 2));
    let folded: Vec<String> = data.as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l).into()).collect();
    let values = [
        ("TX", data.clone()),
        ("ST", data.trim_end_matches('=').to_owned()),
        ("FT", folded.join("\\.br\\")),
        ("TX", folded.join("~")),
        ("TX", folded.join("\n")),
        ("CE", format!("^application^pdf^Base64^{data}")),
        ("CWE", data.clone()),
        ("", data.clone()),
        ("ED", format!("LAB^application^pdf^Base64^{data}")),
    ];
    for (number, (kind, value)) in values.iter().enumerate() {
        let text = report(&format!("M{number}"), "20260302080000", kind, value, "F");
        lab.deliver(&text.replace("|F1|", &format!("|F{number}|"))).await;
    }
    let clinician = app.clinician().await;
    let shown = results(&clinician, jane).await;
    assert_eq!(shown.len(), values.len());
    for result in shown {
        assert_eq!(result["value"], "PDF document, 2.0 kB", "{}", result["value_type"]);
        assert!(result["raw_value"].as_str().unwrap_or_default().len() < 40);
        assert!(document(&clinician, &result["id"]).await.1 == pdf(2_000, 2));
    }
    app.finish().await;
}

/// Two PDFs read the same in a list. The second must not be filed as a repetition of the first.
async fn a_changed_pdf_is_a_correction(engine: Database) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let messages = [(1, "P", 3), (2, "F", 3), (3, "C", 4), (4, "P", 3)];
    for (minute, status, mark) in messages {
        let changed = format!("202603020800{minute:02}");
        lab.deliver(&report(&minute.to_string(), &changed, "ED", &ed(&pdf(500, mark)), status)).await;
    }
    let clinician = app.clinician().await;
    let shown = results(&clinician, jane).await;
    assert_eq!((shown.len(), &shown[0]["result_status"]), (1, &json!("C")));
    assert!(document(&clinician, &shown[0]["id"]).await.1 == pdf(500, 4));
    let history = clinician.read(&format!("/api/lab-results/{}/history", shown[0]["id"])).await;
    assert_eq!(history.as_array().unwrap().len(), 4);
    let first = &history.as_array().unwrap()[3]["id"];
    assert!(document(&clinician, first).await.1 == pdf(500, 3), "the older document stays readable");
    app.finish().await;
}

fn ed(bytes: &[u8]) -> String {
    format!("^application^pdf^Base64^{}", encoded(bytes))
}

async fn a_final_word_keeps_the_document(engine: Database) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&report("1", "20260302080100", "ED", &ed(&pdf(500, 5)), "P")).await;
    lab.deliver(&report("2", "20260302080200", "", "", "U")).await;
    let clinician = app.clinician().await;
    let shown = results(&clinician, jane).await;
    assert_eq!((&shown[0]["result_status"], &shown[0]["version"]), (&json!("F"), &json!(2)));
    assert_eq!(shown[0]["value"], "PDF document, 516 bytes");
    assert!(document(&clinician, &shown[0]["id"]).await.1 == pdf(500, 5));
    app.finish().await;
}

async fn parts_of_a_document_are_one(engine: Database) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let sent = pdf(10_000, 6);
    let data = encoded(&sent);
    let mut lines = vec![obr("", "F1", "PATH", "20260302080000", "F")];
    for (number, part) in (1..).zip(data.as_bytes().chunks(3_000)) {
        lines.push(format!("OBX|{number}|TX|PDF^Report^L||{}||||||F", String::from_utf8_lossy(part)));
    }
    lines.push("OBX|9|TX|NOTE^Note^L||see the report||||||F".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    app.lab().await.deliver(&oru("1", "20260302080000", &lines)).await;
    let clinician = app.clinician().await;
    let mut shown = results(&clinician, jane).await;
    shown.sort_by_key(|item| item["id"].as_i64());
    let values: Vec<&str> = shown.iter().map(|item| item["value"].as_str().unwrap()).collect();
    let part = |n| format!("Part {n} of 5 of a document");
    assert_eq!(values[0], "PDF document, 10.0 kB");
    assert_eq!(values[1..5], [part(2), part(3), part(4), part(5)]);
    assert_eq!(values[5], "see the report");
    assert!(document(&clinician, &shown[0]["id"]).await.1 == sent);
    app.finish().await;
}

async fn what_cannot_be_decoded_is_kept_as_sent(engine: Database) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let broken = format!("{}!{}", encoded(&pdf(2_000, 7)), encoded(&pdf(2_000, 7)));
    lab.write(&wrap(report("1", "20260302080000", "TX", &broken, "F").as_bytes())).await;
    let answer = lab.answer().await;
    assert_eq!((code(&answer), answered(&answer)), ("AA".into(), "1".into()));
    let clinician = app.clinician().await;
    let shown = results(&clinician, jane).await;
    assert_eq!(shown[0]["value"], "Document that cannot be decoded, 5.4 kB as sent");
    let (media_type, bytes) = document(&clinician, &shown[0]["id"]).await;
    assert!(media_type.starts_with("text/plain") && bytes == broken.as_bytes());
    let engineer = app.sign_in(pms::domain::access::Role::InterfaceEngineer).await;
    let message = engineer.read(&format!("/api/hl7/messages/{}", shown[0]["hl7_message_id"])).await;
    assert!(message["warnings"].to_string().contains("document_unreadable"));
    assert_eq!(lab_result::Entity::find().all(app.ctx().db.reader()).await.unwrap().len(), 1);
    app.finish().await;
}
