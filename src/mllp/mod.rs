//! The TCP door: MLLP in (`listener`, `session`) and out (`sender`).
//!
//! MLLP carries one HL7 message between `<VT>` and `<FS><CR>`, and the answer comes back on the same connection
//! (HL7 implementation support guide, appendix C).

mod line;
pub mod listener;
pub mod sender;
mod session;
