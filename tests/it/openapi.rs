//! The committed document is the one that is served.

use std::path::Path;

#[test]
fn the_committed_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    let served = pms::runtime::openapi().unwrap();
    assert!(committed == served, "run `pms openapi > openapi/openapi.json` and look at what has changed");
}
