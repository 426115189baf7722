//! One binary for all tests of the whole: it links once, and one PostgreSQL serves it.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod ack_flow;
mod admission_flow;
mod alert_flow;
mod all_rows;
mod app;
mod appointment_flow;
mod architecture;
mod batch_flow;
mod batch_property;
mod corpus_files;
mod corpus_flow;
mod dead_letter_flow;
mod directory_flow;
mod document_flow;
mod http_door_flow;
mod intake_flow;
mod intake_safety;
mod lab;
mod naive_hl7;
mod openapi;
mod order_flow;
mod ordering;
mod outside_order_flow;
mod peer_flow;
mod postgres;
mod profile_flow;
mod replay_flow;
mod resend_flow;
mod result_flow;
mod review_cases;
mod review_flow;
mod review_undo;
mod schema;
mod sftp;
mod sftp_flow;
