//! pms: a clinic's patient management backend and its laboratory interface in one service.
//!
//! Read [`lab::intake`] next, and you know the product. The rooms, and who may enter which (left may use right, nothing
//! else; `tests/it/architecture.rs` holds us to it):
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`cli`] | what each command does | `runtime`, `sim`, `lab` |
//! | [`runtime`] | builds the context, starts doors and jobs, shuts down | everything below |
//! | [`http`] | REST, OpenAPI, event stream | `lab`, `domain`, `security`, `reader` |
//! | [`mllp`] | TCP door for HL7, and the sender to labs | `lab`, `hl7` |
//! | [`sftp`] | client of file servers | `domain` |
//! | [`jobs`] | loops without input | `lab`, `mllp::sender`, `sftp`, `domain` |
//! | [`sim`] | simulated laboratory, generator, load tool | `hl7`, `mllp::sender` |
//! | [`lab`] | use cases, one verb a file; each owns its transaction | `store`, `domain`, `hl7`, `security`, `reader` |
//! | [`store`] | everything that knows SQL | `domain` |
//! | [`domain`] | pure rules | nothing of ours |
//! | [`hl7`] | pure codec | nothing of ours |
//! | [`reader`] | pure reading of the fields of requests and files | nothing of ours |
//! | [`security`] | passwords, tokens, message keys, TLS | nothing of ours |
//!
//! `clock`, `config`, `context`, `outbound` and `telemetry` are free to all but the three pure rooms.

pub mod cli;
pub mod clock;
pub mod config;
pub mod context;
pub mod domain;
pub mod hl7;
pub mod http;
pub mod jobs;
pub mod lab;
pub mod mllp;
pub mod outbound;
pub mod reader;
pub mod runtime;
pub mod security;
pub mod sftp;
pub mod sim;
pub mod store;
pub mod telemetry;
