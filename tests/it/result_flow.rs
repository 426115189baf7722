//! All of a result: values of every type, specimens, who did the test, cultures with their susceptibilities, reflex
//! tests, and the life of a result until it is taken back.

use pms::{domain::access::Role, hl7::frame::wrap};
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine, TestApp, flows},
    lab::{answered, code, obr, obx, oru},
};

flows!(
    values_of_every_type,
    specimens_and_performers_are_shown,
    susceptibilities_find_their_organism,
    a_reflex_hangs_on_its_order,
    a_reflex_finds_its_order_by_the_labs_number,
    what_is_taken_back_leaves_the_chart,
    a_final_that_changes_is_a_marked_correction,
    a_bare_final_keeps_all_of_the_value,
    texts_beyond_every_measure,
    wide_text_is_refused_by_its_control_id,
);

const AT: &str = "20260302080000";

async fn results(reader: &Actor, patient: i64) -> Vec<Value> {
    let list = reader.read(&format!("/api/lab-results?patient_id={patient}")).await;
    let mut list = list.as_array().unwrap().clone();
    list.sort_by_key(|item| item["id"].as_i64());
    list
}

fn lines(text: &[&str]) -> String {
    oru("1", AT, text)
}

async fn values_of_every_type(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let sent = [
        ("NM", "7.5", "7.5"),
        ("NM", "HEMOLYZED", "HEMOLYZED"),
        ("SN", ">^100", ">100"),
        ("SN", "^1^:^128", "1:128"),
        ("SN", "^2^-^5", "2-5"),
        ("ST", "Smith & Jones", "Smith & Jones"),
        ("TX", "one~two\\.br\\three", "one\ntwo\nthree"),
        ("FT", "50\\ml", "50\\ml"),
        ("CE", "POS^Positive^L~^Second", "Positive\nSecond"),
        ("CWE", "1^One^L", "One"),
        ("CNE", "^^^2^Two^L", "Two"),
        ("DT", "20260301", "2026-03-01"),
        ("TM", "0930", "09:30"),
        ("DTM", "202603010930+0100", "2026-03-01 09:30 +01:00"),
        ("RP", "https://lab/x?a=1&b=2^PACS^image^jpeg", "https://lab/x?a=1&b=2"),
        ("ED", "^TEXT^plain^A^all well", "all well"),
        ("ED", "^TEXT^plain^Base64^YWxsIHdlbGw=", "all well"),
        ("ZZ", "a^b", "a^b"),
        ("", "untyped", "untyped"),
    ];
    let report = obr("", "F1", "ALL", AT, "F");
    let body: Vec<String> = sent
        .iter()
        .enumerate()
        .map(|(n, (kind, value, _))| format!("OBX|{n}|{kind}|C{n}^Name||{value}||||||F"))
        .collect();
    let all: Vec<&str> = std::iter::once(&report).chain(&body).map(String::as_str).collect();
    app.lab().await.deliver(&lines(&all)).await;
    let shown = results(&app.clinician().await, jane).await;
    let values: Vec<&str> = shown.iter().map(|item| item["value"].as_str().unwrap()).collect();
    let expected: Vec<&str> = sent.iter().map(|(_, _, shown)| *shown).collect();
    assert_eq!(values, expected);
    assert_eq!(
        shown[8]["particulars"]["codes"][0],
        json!({"code": "POS", "text": "Positive", "system": "L"})
    );
    assert_eq!((&shown[2]["comparator"], &shown[2]["numeric_value"]), (&json!(">"), &json!(100.0)));
    app.finish().await;
}

async fn specimens_and_performers_are_shown(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let spm = "SPM|1|P7^L7||BLD^Blood^HL70487||||LA^Left arm|||||||||202603020700|202603020730|||H^Hemolysed|||HEM^Hemolysis";
    let value = "OBX|1|NM|K^Potassium|a|4.0|mmol/L|3.5-5.0|N~A|||F|||20260302070000|LABX|77^Tech^Ann|ISE|EQ1|20260302073000||||City Lab^^^^^^^^^C7|1 Main St^^Town^MA^01234|9^House^Gregory";
    lab.deliver(&lines(&[&obr("", "F1", "BMP", AT, "F"), spm, value, "NTE|1|L|first~second"])).await;
    let old = "OBR|1||F2|BC|||20260302070000|||||||20260302073000|BLDV&Venous blood&HL70070^^^LA&Left arm|||||||20260302080000|||F";
    let under = "OBX|1|NM|NA^Sodium||140|mmol/L|||||F";
    lab.deliver(&oru("2", AT, &[old, under])).await;
    let shown = results(&app.clinician().await, jane).await;
    assert_eq!(
        shown[0]["specimen"],
        json!({
            "id": "L7", "kind": "Blood", "kind_code": "BLD", "site": "Left arm", "collection_method": null,
            "description": null, "collected_at": "202603020700", "received_at": "202603020730",
            "reject_reason": "Hemolysed", "condition": "Hemolysis",
        })
    );
    assert_eq!((&shown[0]["sub_id"], &shown[0]["abnormal_flag"]), (&json!("a"), &json!("N~A")));
    assert_eq!(
        (&shown[0]["performing_lab"], &shown[0]["notes"]),
        (&json!("City Lab"), &json!(["first\nsecond"]))
    );
    let particulars = &shown[0]["particulars"];
    assert_eq!(particulars["performing_lab_address"], "1 Main St, Town, MA, 01234");
    assert_eq!(particulars["performing_lab_director"], "Gregory House");
    assert_eq!((&particulars["observer"], &particulars["method"]), (&json!("Ann Tech"), &json!("ISE")));
    assert_eq!((&particulars["equipment"], &particulars["performing_lab_id"]), (&json!("EQ1"), &json!("C7")));
    assert_eq!(shown[1]["specimen"]["kind"], "Venous blood");
    assert_eq!(shown[1]["specimens"].as_array().unwrap().len(), 1);
    app.finish().await;
}

fn organism(sub_id: u8, name: &str, status: &str) -> String {
    format!("OBX|{sub_id}|CE|600-7^Organism^LN|{sub_id}|x^{name}^L||||||{status}")
}

fn susceptibility(parent: &str, filler: &str) -> [String; 2] {
    [
        format!(
            "OBR|2||{filler}|SUSC^Susceptibility|||20260302070000|||||G||||||||||20260302080000|||F|600-7&Organism^{parent}^|||^C1"
        ),
        "OBX|1|ST|18906-8^Ciprofloxacin^LN||<=0.25|ug/mL||S|||F".into(),
    ]
}

async fn susceptibilities_find_their_organism(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (mut lab, clinician) = (app.lab().await, app.clinician().await);
    // The child comes first, alone.
    let [report, value] = susceptibility("2", "S2");
    lab.deliver(&oru("child", AT, &[&report, &value])).await;
    let shown = results(&clinician, jane).await;
    assert_eq!(shown[0]["parent"]["code"], "600-7");
    assert_eq!(shown[0]["parent_result_id"], Value::Null, "nobody knows yet");
    let culture = |at: &str, status: &str| obr("", "C1", "BC", at, status);
    let (coli, aureus) = (organism(1, "E. coli", "P"), organism(2, "S. aureus", "P"));
    let [same_message, antibiotic] = susceptibility("1", "S1");
    let all = [culture(AT, "P"), coli, aureus, same_message, antibiotic];
    lab.deliver(&oru("parent", AT, &all.each_ref().map(String::as_str))).await;
    let shown = results(&clinician, jane).await;
    let parent_of = |shown: &[Value], n: usize| shown[n]["parent_result_id"].clone();
    assert_eq!(
        (parent_of(&shown, 0), parent_of(&shown, 3)),
        (shown[2]["id"].clone(), shown[1]["id"].clone())
    );
    assert!(shown[1]["parent"].is_null() && shown[1]["parent_result_id"].is_null());
    // A corrected organism is a new version, and the susceptibilities follow it.
    let later = "20260302090000";
    lab.deliver(&oru("final", later, &[&culture(later, "F"), &organism(2, "S. epidermidis", "F")])).await;
    let shown = results(&clinician, jane).await;
    let moved = shown.iter().find(|item| item["value"] == "S. epidermidis").unwrap();
    assert_eq!(parent_of(&shown, 0), moved["id"]);
    let child = clinician.read(&format!("/api/lab-results/{}", shown[0]["id"])).await;
    assert_eq!((&child["parent"]["result_id"], &child["parent"]["sub_id"]), (&moved["id"], &json!("2")));
    app.finish().await;
}

/// An order of one TSH for Jane: its id and its placer number.
async fn order(app: &TestApp, patient: i64) -> (i64, String) {
    let body = json!({"patient_id": patient, "test_codes": ["TSH"], "ordering_provider": "Dr. Smith"});
    let placed = app.clinician().await.post("/api/lab-orders", body).await;
    let placer = placed.body["tests"][0]["placer_order_number"].as_str().unwrap().to_owned();
    (placed.body["id"].as_i64().unwrap(), placer)
}

fn reflex(placer: &str, filler: &str, parent: &str) -> String {
    format!(
        "OBR|1|{placer}|{filler}|FT4^Free T4|||20260302070000||||G|||||||||||20260302080000|||F||||{parent}"
    )
}

async fn a_reflex_hangs_on_its_order(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    let jane = app.jane().await;
    let (id, placer) = order(&app, jane).await;
    let (mut lab, clinician) = (app.lab().await, app.clinician().await);
    let value = obx(1, "FT4", "1.1", "ng/dL", "", "F");
    // Under a number of the lab with the parent named, and under our own number: neither is the TSH.
    lab.deliver(&oru("R1", AT, &[&reflex("", "F9", &format!("{placer}&PMS^F1")), &value])).await;
    lab.deliver(&oru("R2", AT, &[&reflex(&placer, "F8", ""), &value])).await;
    let shown = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!((shown["results"].as_array().unwrap().len(), &shown["status"]), (2, &json!("pending")));
    assert!(shown["results"].as_array().unwrap().iter().all(|result| result["is_reflex"] == true));
    let tsh = obx(1, "TSH", "2.0", "mIU/L", "", "F");
    lab.deliver(&oru("T", AT, &[&obr(&placer, "F1", "TSH", AT, "F"), &tsh])).await;
    let shown = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!((shown["results"].as_array().unwrap().len(), &shown["status"]), (3, &json!("resulted")));
    app.finish().await;
}

async fn a_reflex_finds_its_order_by_the_labs_number(engine: Engine) {
    for at_once in [true, false] {
        let mut app = TestApp::start(engine).await;
        app.leaves_work();
        let jane = app.jane().await;
        let john = app.patient("777", "Roe", "John", "1980-01-01").await;
        let (id, placer) = order(&app, jane).await;
        let mut lab = app.lab().await;
        let tsh =
            oru("T", AT, &[&obr(&placer, "F1", "TSH", AT, "F"), &obx(1, "TSH", "2.0", "mIU/L", "", "F")]);
        let free = oru("R", AT, &[&reflex("", "F9", "^F1"), &obx(1, "FT4", "1.1", "ng/dL", "", "F")]);
        // The lab counts anew: the same number says nothing about another patient's reflex.
        let other = free
            .replace("|R|P|", "|O|P|")
            .replace("12345^^^", "777^^^")
            .replace("Doe^Jane||19900315", "Roe^John||19800101");
        for message in [&tsh, &free, &other] {
            if at_once {
                lab.write(&wrap(message.as_bytes())).await;
            } else {
                lab.deliver(message).await;
            }
        }
        for _ in 0..if at_once { 3 } else { 0 } {
            assert_eq!(code(&lab.answer().await), "AA");
        }
        let clinician = app.clinician().await;
        let shown = clinician.read(&format!("/api/lab-orders/{id}")).await;
        assert_eq!((shown["results"].as_array().unwrap().len(), &shown["status"]), (2, &json!("resulted")));
        assert_eq!(results(&clinician, john).await[0]["lab_order_id"], Value::Null);
        app.finish().await;
    }
}

fn potassium(id: &str, minute: u8, status: &str, value: &str) -> String {
    let changed = format!("2026030208{minute:02}00");
    oru(
        id,
        &changed,
        &[&obr("", "F1", "BMP", &changed, status), &obx(1, "K^Potassium", value, "mmol/L", "H", status)],
    )
}

async fn what_is_taken_back_leaves_the_chart(engine: Engine) {
    for status in ["D", "W"] {
        let app = TestApp::start(engine).await;
        let jane = app.jane().await;
        let (mut lab, clinician) = (app.lab().await, app.clinician().await);
        lab.deliver(&potassium("1", 1, "F", "5.2")).await;
        let id = results(&clinician, jane).await[0]["id"].clone();
        lab.deliver(&potassium("2", 3, status, "")).await;
        lab.deliver(&potassium("3", 2, "F", "5.2")).await;
        assert!(results(&clinician, jane).await.is_empty(), "{status}: neither it nor an older copy");
        let history = clinician.read(&format!("/api/lab-results/{id}/history")).await;
        assert_eq!(history.as_array().unwrap().len(), 3);
        app.finish().await;
    }
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (mut lab, clinician) = (app.lab().await, app.clinician().await);
    lab.deliver(&potassium("1", 1, "P", "5.2")).await;
    lab.deliver(&potassium("2", 2, "X", "")).await;
    let shown = results(&clinician, jane).await;
    assert_eq!((&shown[0]["result_status"], &shown[0]["value"]), (&json!("X"), &Value::Null));
    app.finish().await;
}

async fn a_final_that_changes_is_a_marked_correction(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (mut lab, clinician) = (app.lab().await, app.clinician().await);
    lab.deliver(&potassium("1", 5, "F", "5.2")).await;
    lab.deliver(&potassium("2", 1, "F", "9.9")).await;
    lab.deliver(&potassium("3", 9, "P", "9.8")).await;
    lab.deliver(&potassium("4", 6, "F", "5.3")).await;
    let shown = results(&clinician, jane).await;
    assert_eq!((&shown[0]["value"], &shown[0]["result_status"]), (&json!("5.3"), &json!("C")));
    assert_eq!(shown[0]["warnings"], json!(["f_changed_without_c"]));
    let history = clinician.read(&format!("/api/lab-results/{}/history", shown[0]["id"])).await;
    assert_eq!(history.as_array().unwrap().len(), 4);
    app.finish().await;
}

async fn a_bare_final_keeps_all_of_the_value(engine: Engine) {
    for at_once in [true, false] {
        let app = TestApp::start(engine).await;
        let jane = app.jane().await;
        let (mut lab, clinician) = (app.lab().await, app.clinician().await);
        let bare = oru(
            "2",
            "20260302080200",
            &[&obr("", "F1", "BMP", "20260302080200", "F"), "OBX|1||K^Potassium||||||||U"],
        );
        // The same value once more, with its unit: nothing new, however it was read in between.
        let messages = [potassium("1", 1, "P", "5.2"), bare, potassium("3", 3, "F", "5.2")];
        for message in &messages {
            if at_once {
                lab.write(&wrap(message.as_bytes())).await;
            } else {
                lab.deliver(message).await;
            }
        }
        for _ in 0..if at_once { 3 } else { 0 } {
            assert_eq!(code(&lab.answer().await), "AA");
        }
        let shown = results(&clinician, jane).await;
        assert_eq!((shown.len(), &shown[0]["version"]), (1, &json!(2)), "at once: {at_once}");
        assert_eq!((&shown[0]["value"], &shown[0]["units"]), (&json!("5.2"), &json!("mmol/L")));
        assert_eq!((&shown[0]["abnormal_flag"], &shown[0]["result_status"]), (&json!("H"), &json!("F")));
        app.finish().await;
    }
}

/// Stored whole or refused; never a crash, and never at the cost of another message.
async fn texts_beyond_every_measure(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let report = obr("", "F1", "BMP", AT, "F");
    let long = "x".repeat(5_000);
    let flags = ["A"; 100].join("~");
    let megabytes = "word ".repeat(2_000_000);
    let odd = [
        format!("OBX|1|NM|K^{long}|{long}|4.0|{long}|{long}|{flags}|||F"),
        format!("OBX|1|TX|TEXT^Text||{megabytes}||||||F"),
        "OBX|1|ST|NUL^Nul||a\\X00\\b\\XEDA080\\c\\X0B\\d\\X1C\\e\u{fffe}\u{1}||||||F".to_owned(),
        format!("OBX|1|{long}|KIND^{long}^{long}||5||||||{long}"),
    ];
    for (number, line) in odd.iter().enumerate() {
        let id = format!("ODD{number}");
        let texts = [
            oru(&id, AT, &[&report, line]),
            oru(&format!("GOOD{number}"), AT, &[&report, &obx(1, "K", "4.0", "mmol/L", "", "F")]),
        ];
        lab.write(&texts.map(|text| wrap(text.as_bytes())).concat()).await;
        let (odd, good) = (lab.answer().await, lab.answer().await);
        assert_eq!((answered(&odd), code(&odd)), (id, "AA".into()));
        assert_eq!((answered(&good), code(&good)), (format!("GOOD{number}"), "AA".into()));
    }
    let shown = results(&app.clinician().await, jane).await;
    let of = |code: &str| shown.iter().find(|item| item["test_code"] == code).unwrap();
    assert_eq!(of("TEXT")["value"].as_str().unwrap().len(), megabytes.len());
    assert_eq!(of("NUL")["value"], "a\\X00\\b\\XEDA080\\c\u{b}d\u{1c}e\u{fffe}\u{1}");
    let wide = shown.iter().find(|item| item["test_name"] == long.as_str()).unwrap();
    assert_eq!(wide["abnormal_flag"].as_str().unwrap().split('~').count(), 100);
    assert_eq!(wide["units"], long.as_str());
    app.finish().await;
}

async fn wide_text_is_refused_by_its_control_id(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let text = potassium("WIDE", 1, "F", "4.0");
    for mark in [&b""[..], b"\xfe\xff"] {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        lab.write(&wrap(&[mark, &wide].concat())).await;
        let answer = lab.answer().await;
        assert_eq!((code(&answer), answered(&answer)), ("AE".into(), "WIDE".into()));
        assert!(String::from_utf8(answer).unwrap().contains("|102^"));
    }
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let messages = engineer.read("/api/hl7/messages?control_id=WIDE").await;
    assert_eq!(messages.as_array().unwrap().len(), 2, "their bytes are kept");
    app.finish().await;
}
