//! What a lab says of an order on its own, by reports without results and by order messages.

use serde_json::json;

use crate::{
    app::{Engine, TestApp, flows},
    lab::{FakeLis, Manner, oru},
    ordering::{becomes, endpoint, order, status},
};

flows!(a_lab_moves_an_order_by_itself);

async fn a_lab_moves_an_order_by_itself(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let mut lab = app.lab().await;
    // ORC-1, ORC-5 and OBR-25, what becomes of the order, and of its test.
    let table = [
        ("", "", "O", "acknowledged", "in_lab"),
        ("", "", "S", "acknowledged", "in_lab"),
        ("", "", "I", "acknowledged", "in_lab"),
        ("", "", "X", "resulted", "done"),
        ("SC", "IP", "", "acknowledged", "in_lab"),
        ("SC", "CA", "", "cancelled", "cancelled"),
        ("OC", "", "", "cancelled", "cancelled"),
        ("UA", "", "", "rejected", "rejected"),
        ("XX", "", "S", "acknowledged", "in_lab"),
        ("XX", "CA", "", "cancelled", "cancelled"),
        ("XX", "", "", "sent", "ordered"),
    ];
    for by_order_message in [false, true] {
        for (n, (control, orc_5, obr_25, ends, test)) in table.iter().enumerate() {
            if by_order_message && control.is_empty() {
                continue;
            }
            let id = order(&clinician, jane, &["CBC"]).await.body["id"].clone();
            becomes(&clinician, &id, "sent").await;
            let sent = format!("202603020810{n:02}");
            let placer = format!("{id}-1");
            let orc = format!("ORC|{control}|{placer}|L{id}||{orc_5}\r");
            let orc = if control.is_empty() { String::new() } else { orc };
            let lines = format!("{orc}OBR|1|{placer}|L{id}|CBC{}{sent}|||{obr_25}", "|".repeat(18));
            let report = oru(&format!("S{id}"), &sent, &[lines.as_str()]);
            let kind = if by_order_message { "ORM^O01^ORM_O01" } else { "ORU^R01^ORU_R01" };
            let message = report.replace("ORU^R01^ORU_R01", kind);
            let answer = String::from_utf8(lab.exchange(&message).await).unwrap();
            assert!(answer.contains(&format!("MSA|AA|S{id}")), "{answer}");
            let case = format!("{control} {orc_5} {obr_25} by order message: {by_order_message}");
            assert_eq!(status(&clinician, &id).await, *ends, "{case}");
            let detail = clinician.read(&format!("/api/lab-orders/{id}")).await;
            assert_eq!(detail["tests"][0]["status"], *test, "{case}");
            assert_eq!(detail["tests"][0]["filler_order_number"], json!(format!("L{id}")), "{case}");
        }
    }
    app.finish().await;
}
