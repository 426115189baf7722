//! Requests of the capture and what came back, and what we add.

use serde_json::{Value, json};

use super::{Header, send};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const ORDERS: &str = "POST /api/lab-orders/";
const STRICT: &str = "POST /strict";
const NO_INT: &str = "Input should be a valid integer, unable to parse string as an integer";
const NO_OBJECT: &str = "Input should be a valid dictionary or object to extract fields from";

#[tokio::test]
async fn bodies_of_lab_orders() {
    let missing =
        |name: &str| json!({"type": "missing", "loc": ["body", name], "msg": "Field required", "input": {}});
    let no_object = |input: Value| json!([{"type": "model_attributes_type", "loc": ["body"], "msg": NO_OBJECT, "input": input}]);
    let raw = r#"{"patient_id":1}"#;
    let table: [(&[Header], &str, Value); 9] = [
        (
            &[JSON],
            r#"{"patient_id":1.5,"test_codes":"CBC","ordering_provider":7,"priority":null}"#,
            json!([
                {"type": "int_from_float", "loc": ["body", "patient_id"], "msg": "Input should be a valid integer, got a number with a fractional part", "input": 1.5},
                {"type": "list_type", "loc": ["body", "test_codes"], "msg": "Input should be a valid list", "input": "CBC"},
                {"type": "string_type", "loc": ["body", "ordering_provider"], "msg": "Input should be a valid string", "input": 7},
                {"type": "string_type", "loc": ["body", "priority"], "msg": "Input should be a valid string", "input": null}
            ]),
        ),
        (&[JSON], "{}", json!([missing("patient_id"), missing("test_codes"), missing("ordering_provider")])),
        (
            &[JSON],
            "{bad",
            json!([{"type": "json_invalid", "loc": ["body", 1], "msg": "JSON decode error", "input": {},
                "ctx": {"error": "Expecting property name enclosed in double quotes"}}]),
        ),
        (&[JSON], "", json!([{"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}])),
        (
            &[JSON],
            "null",
            json!([{"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}]),
        ),
        (&[JSON], "[]", no_object(json!([]))),
        (&[FORM], raw, no_object(json!(raw))),
        (&[("content-type", "text/plain")], raw, no_object(json!(raw))),
        (&[], raw, no_object(json!(raw))),
    ];
    for (headers, body, wanted) in table {
        let answer = send(ORDERS, headers, body).await;
        assert_eq!((answer.status, answer.json()), (422, json!({"detail": wanted})), "{body}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let created = send(
        ORDERS,
        &[JSON],
        r#"{"patient_id":"1","test_codes":["CBC"],"ordering_provider":"x","unknown":1}"#,
    )
    .await;
    assert_eq!((created.status, created.json()), (201, json!({"patient_id": 1, "test_codes": ["CBC"]})));
}

#[tokio::test]
async fn an_optional_body_may_be_absent_but_not_wrong() {
    for (body, status, wanted) in [("", 200, json!({"got": false})), ("null", 200, json!({"got": false}))] {
        let answer = send("POST /optional", &[JSON], body).await;
        assert_eq!((answer.status, answer.json()), (status, wanted));
    }
    assert_eq!(send("POST /optional", &[JSON], "{}").await.status, 422);
}

#[tokio::test]
async fn every_type_of_field() {
    let problems = send(
        STRICT,
        &[JSON],
        r#"{"n":1,"s":"a","p":"Z","when":"yesterday","d":"2026-13-01","f":0,"b":"maybe","zz":1}"#,
    )
    .await;
    let wanted = r#"{"detail":[{"type":"string_too_short","loc":["body","s"],"msg":"String should have at least 2 characters","input":"a","ctx":{"min_length":2}},{"type":"enum","loc":["body","p"],"msg":"Input should be 'R', 'S' or 'A'","input":"Z","ctx":{"expected":"'R', 'S' or 'A'"}},{"type":"datetime_from_date_parsing","loc":["body","when"],"msg":"Input should be a valid datetime or date, input is too short","input":"yesterday","ctx":{"error":"input is too short"}},{"type":"date_from_datetime_parsing","loc":["body","d"],"msg":"Input should be a valid date or datetime, month value is outside expected range of 1-12","input":"2026-13-01","ctx":{"error":"month value is outside expected range of 1-12"}},{"type":"greater_than","loc":["body","f"],"msg":"Input should be greater than 0","input":0,"ctx":{"gt":0.0}},{"type":"bool_parsing","loc":["body","b"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"},{"type":"extra_forbidden","loc":["body","zz"],"msg":"Extra inputs are not permitted","input":1}]}"#;
    assert_eq!((problems.status, problems.body.as_str()), (422, wanted), "byte for byte");

    for (body, wanted) in [
        (
            r#"{"n":"12","s":"AB","p":"S","when":"2026-02-21T12:00:00+02:00","d":"2026-02-21","f":"1","b":"yes"}"#,
            json!({"n": 12, "s": "AB", "p": "S", "when": "2026-02-21T10:00:00Z", "d": "2026-02-21", "f": 1.0, "b": true, "o": null}),
        ),
        (
            r#"{"n":1.0,"s":"AB","p":"S","when":1771675200,"d":"2026-02-21","f":1,"b":1}"#,
            json!({"n": 1, "s": "AB", "p": "S", "when": "2026-02-21T12:00:00Z", "d": "2026-02-21", "f": 1.0, "b": true, "o": null}),
        ),
    ] {
        let answer = send(STRICT, &[JSON], body).await;
        assert_eq!((answer.status, answer.json()), (200, wanted));
    }
    let one = send(
        STRICT,
        &[JSON],
        r#"{"n":true,"s":5,"p":"S","when":"2026-02-21 12:00:00","d":"2026-02-21T00:00:00","f":1,"b":"on"}"#,
    )
    .await;
    let wanted = json!([{"type": "string_type", "loc": ["body", "s"], "msg": "Input should be a valid string", "input": 5}]);
    assert_eq!((one.status, one.json()), (422, json!({"detail": wanted})));
    let pattern =
        send(STRICT, &[JSON], r#"{"n":1,"s":"ab","p":"S","when":1,"d":"2026-02-21","f":1,"b":1}"#).await;
    assert_eq!(pattern.json()["detail"][0]["msg"], "String should match pattern '^[A-Z]+$'");
}

#[tokio::test]
async fn paths_and_queries() {
    let no_int = |place: &str, name: &str, input: &str| json!([{"type": "int_parsing", "loc": [place, name], "msg": NO_INT, "input": input}]);
    let bad_q = json!([
        {"type": "int_parsing", "loc": ["query", "n"], "msg": NO_INT, "input": "x"},
        {"type": "greater_than_equal", "loc": ["query", "limit"], "msg": "Input should be greater than or equal to 1", "input": "0", "ctx": {"ge": 1}},
        {"type": "enum", "loc": ["query", "p"], "msg": "Input should be 'R', 'S' or 'A'", "input": "Q", "ctx": {"expected": "'R', 'S' or 'A'"}},
        {"type": "datetime_from_date_parsing", "loc": ["query", "since"], "msg": "Input should be a valid datetime or date, input is too short",
         "input": "bad", "ctx": {"error": "input is too short"}}
    ]);
    for (line, wanted) in [
        ("GET /api/lab-orders/abc", no_int("path", "order_id", "abc")),
        ("GET /q?n=x&limit=0&p=Q&since=bad", bad_q),
        (
            "GET /q",
            json!([{"type": "missing", "loc": ["query", "n"], "msg": "Field required", "input": null}]),
        ),
        ("GET /api/lab-results/?patient_id=", no_int("query", "patient_id", "")),
        (
            "GET /hdr",
            json!([{"type": "missing", "loc": ["header", "x-request-id"], "msg": "Field required", "input": null}]),
        ),
    ] {
        let answer = send(line, &[], "").await;
        assert_eq!((answer.status, answer.json()), (422, json!({"detail": wanted})), "{line}");
    }
    let plain =
        |n: i64, since: Value, tag: Value| json!({"n": n, "limit": 50, "p": "R", "since": since, "tag": tag});
    for (line, wanted) in [
        (
            "GET /q?n=5&since=2026-02-21T12:00:00Z&tag=a&tag=b",
            plain(5, json!("2026-02-21T12:00:00Z"), json!(["a", "b"])),
        ),
        ("GET /q?n=5&since=2026-02-21T12:00:00+02:00", plain(5, json!("2026-02-21T10:00:00Z"), json!([]))),
        ("GET /q?n=%205%20&since=2026-02-21", plain(5, json!("2026-02-21T00:00:00Z"), json!([]))),
        ("GET /q?n=5&n=6&unknown=1", plain(6, Value::Null, json!([]))),
    ] {
        let answer = send(line, &[], "").await;
        assert_eq!((answer.status, answer.json()), (200, wanted), "{line}");
    }
}

#[tokio::test]
async fn flags_in_a_query() {
    let spellings = [(true, "true True TRUE t 1 yes y on"), (false, "false 0 no off n")];
    for (flag, word) in
        spellings.iter().flat_map(|(flag, words)| words.split(' ').map(move |word| (flag, word)))
    {
        let answer = send(&format!("GET /api/lab-results?acknowledged={word}"), &[], "").await;
        assert_eq!(answer.json(), json!({"patient_id": null, "acknowledged": flag}), "{word}");
    }
    for word in ["", "maybe"] {
        let answer = send(&format!("GET /api/lab-results?acknowledged={word}"), &[], "").await;
        let wanted = json!({"detail": [{"type": "bool_parsing", "loc": ["query", "acknowledged"],
            "msg": "Input should be a valid boolean, unable to interpret input", "input": word}]});
        assert_eq!((answer.status, answer.json()), (422, wanted));
    }
}

#[tokio::test]
async fn tokens_and_credentials() {
    for headers in [&[][..], &[("authorization", "Basic abc")]] {
        let answer = send("GET /me", headers, "").await;
        assert_eq!((answer.status, answer.json()), (401, json!({"detail": "Not authenticated"})));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let bad = send("POST /token", &[FORM], "username=a&password=bad").await;
    assert_eq!((bad.status, bad.json()), (401, json!({"detail": "Incorrect username or password"})));
    assert_eq!(bad.header("www-authenticate"), Some("Bearer"));
    let ok = send("POST /token", &[FORM], "username=a&password=ok&grant_type=password").await;
    assert_eq!((ok.status, ok.json()), (200, json!({"access_token": "a", "token_type": "bearer"})));
    let grant = send("POST /token", &[FORM], "username=a&password=ok&grant_type=client").await;
    let wanted = json!([{"type": "string_pattern_mismatch", "loc": ["body", "grant_type"], "msg": "String should match pattern 'password'",
        "input": "client", "ctx": {"pattern": "password"}}]);
    assert_eq!((grant.status, grant.json()), (422, json!({"detail": wanted})));
    let missing = |name: &str| json!({"type": "missing", "loc": ["body", name], "msg": "Field required", "input": null});
    let json_body = send("POST /token", &[JSON], r#"{"username":"a"}"#).await;
    assert_eq!(
        (json_body.status, json_body.json()),
        (422, json!({"detail": [missing("username"), missing("password")]}))
    );
}

#[tokio::test]
async fn what_no_handler_answers() {
    let unknown = send("GET /nope", &[], "").await;
    assert_eq!((unknown.status, unknown.json()), (404, json!({"detail": "Not Found"})));
    assert_eq!(unknown.header("content-type"), Some("application/json"));
    let wrong = send("PUT /api/lab-orders/", &[], "").await;
    assert_eq!((wrong.status, wrong.json()), (405, json!({"detail": "Method Not Allowed"})));
    let mut allowed: Vec<_> = wrong.header("allow").unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let gone = send("DELETE /api/x/1", &[], "").await;
    assert_eq!((gone.status, gone.body.as_str(), gone.header("content-type")), (204, "", None));
    assert_eq!(send("GET /api/lab-orders/7", &[], "").await.json(), json!({"detail": "Lab order not found"}));
    assert_eq!(send("HEAD /api/lab-orders", &[], "").await.status, 200);
}

#[tokio::test]
async fn both_slash_spellings_are_answered_directly() {
    for line in ["GET /api/lab-results?patient_id=5", "GET /api/lab-results/?patient_id=5"] {
        let answer = send(line, &[], "").await;
        assert_eq!((answer.status, answer.json()["patient_id"].clone()), (200, json!(5)), "{line}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let answer = send("GET /boom", &[("origin", "http://localhost:3000")], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (500, r#"{"detail":"Internal Server Error"}"#));
    assert_eq!(answer.header("x-request-id"), Some("minted"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn preflights() {
    let asked = ("access-control-request-method", "POST");
    let wanted = ("access-control-request-headers", "authorization,content-type");
    let good =
        send("OPTIONS /api/lab-orders/", &[("origin", "http://localhost:3000"), asked, wanted], "").await;
    assert_eq!((good.status, good.body.as_str()), (200, "OK"));
    for (name, value) in [
        ("vary", "Origin"),
        ("access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-allow-headers", "authorization,content-type"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(good.header(name), Some(value), "{name}");
    }
    let evil = send("OPTIONS /api/lab-orders/", &[("origin", "http://evil"), asked], "").await;
    assert_eq!((evil.status, evil.body.as_str()), (400, "Disallowed CORS origin"));
    assert_eq!(evil.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn cross_origin_headers_stand_on_failures_too() {
    for line in ["GET /nope", "GET /q", "PUT /q", "GET /me"] {
        let answer = send(line, &[("origin", "http://localhost:3000")], "").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"), "{line}");
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("X-Request-ID, X-Total-Count, Link, Retry-After")
        );
        let evil = send(line, &[("origin", "http://evil")], "").await;
        assert_eq!(evil.header("access-control-allow-origin"), None, "{line}");
    }
    assert_eq!(send("GET /nope", &[], "").await.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    for (given, used) in [("abc-1.2_Z", "abc-1.2_Z"), ("forged id", "minted"), ("", "minted")] {
        let answer = send("GET /id", &[("x-request-id", given)], "").await;
        assert_eq!((answer.body.as_str(), answer.header("x-request-id")), (used, Some(used)));
    }
}

#[tokio::test]
async fn answers_are_neither_cached_nor_framed() {
    let answer = send("GET /q?n=1", &[], "").await;
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn documentation_is_answered_without_a_redirect() {
    for path in ["/docs", "/docs/", "/redoc", "/redoc/"] {
        let answer = send(&format!("GET {path}"), &[], "").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert!(answer.header("content-security-policy").unwrap().contains("script-src 'self'"), "{path}");
    }
}
