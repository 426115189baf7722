//! What the use cases answer: values for people and programs outside, never database rows. Field names are the
//! contract's.

mod alert;
mod api_key;
mod appointment;
mod code_map;
mod dead_letter;
mod encounter;
mod endpoint;
mod endpoint_health;
mod message;
mod order;
mod patient;
mod preview;
mod reconciliation;
mod replay;
mod result;
mod review;
mod self_test;
mod study;
mod surroundings;

pub use alert::{AlertEventView, AlertPatient, AlertView};
pub use api_key::{ApiKeyView, NewApiKeyView};
pub use appointment::AppointmentView;
pub use code_map::{CodeMapView, UnmappedCodeView};
pub use dead_letter::{DeadLetterDetail, DeadLetterView, TryView};
pub use encounter::EncounterView;
pub use endpoint::EndpointView;
pub use endpoint_health::{EndpointAlarmView, EndpointHealthView};
pub use message::{AckView, MessageDetail, MessageView, Observations};
pub(crate) use order::strings;
pub use order::{OrderDetail, OrderTestView, OrderView, TimelineEntry};
pub use patient::{IdentifierView, PatientView};
pub use preview::{PreviewResult, PreviewView, WouldStore};
pub use reconciliation::{
    MissingView, ReconciliationView, WorklistCounts, WorklistPatient, WorklistRow, Worklists,
};
pub use replay::{PastReplayView, ReplayColumn, ReplayRow, ReplayTable, ReplayView};
pub use result::{CriticalResultView, ResultView};
pub use review::{CandidateView, HeldObservationView, ReviewItemView};
pub use self_test::{SelfTestStep, SelfTestView};
pub(super) use study::studies;
pub use study::{
    PatientStudiesView, ReportBody, ReportPatient, ReportStudy, ReportView, StudyNameView, StudyOrderView,
    StudyReport, StudyView,
};
pub(super) use surroundings::{parent, specimens};
