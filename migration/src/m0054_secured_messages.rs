//! Messages remember how their connection was protected.

use crate::add_columns::AddColumns;
use crate::column::{opt, varchar};

/// Adds the version of TLS and the SHA-256 of the certificate that the other side showed to `hl7_messages`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0054_secured_messages",
    table: "hl7_messages",
    columns: || vec![opt(varchar("tls_version", 3)), opt(varchar("peer_certificate", 64))],
    indexes: &[],
};
