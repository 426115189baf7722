//! The rules of the clinic and its laboratory, in the words a nurse or a lab manager would use.
//!
//! Everything here is pure: no database, no network, no clock, no random numbers. Time, age and chance arrive
//! as parameters, so every rule can be tested as a table and run again over old data with the same answer.
//! Nothing here knows HL7 segments or tables; `lab` translates in both directions.
//!
//! | file | question it answers |
//! |---|---|
//! | [`ids`] | which patient, order, result is meant, without mixing the numbers up |
//! | [`person`] | sex and age as the rules need them |
//! | [`order`] | where an order stands, and what may happen to it next |
//! | [`result`] | which version of a result is the current one, and whom a change concerns |
//! | [`value`] | what number, if any, a reported value is |
//! | [`units`] | which spellings mean the same unit, and what may be converted |
//! | [`thresholds`] | at which values a person must be told at once |
//! | [`critical`] | whether this result is such a value, and why |
//! | [`report`] | what a laboratory reports |
//! | [`intake`] | what a message of results does |
//! | [`event`] | what a message tells that is no report of results |
//! | [`matching`] | whose result this is, or who has to decide that |
//! | [`review`] | what a person may decide about a result that nobody could be found for |
//! | [`specimen`] | what was examined, and what a report grew out of |
//! | [`parent`] | which result a report hangs on |
//! | [`reconcile`] | what a laboratory still owes, and what came that nobody ordered |
//! | [`routing`] | which laboratory does what is ordered |
//! | [`retry`] | what to do after an attempt to deliver a message |
//! | [`silence`] | whether a sender has been silent for longer than is usual for it |
//! | [`endpoint_alarm`] | when an alarm about an endpoint opens, and when it closes |
//! | [`watched`] | which files of a watched directory are meant, and when one is whole |
//! | [`alert`] | how an alert is closed |
//! | [`access`] | who may do what |
//! | [`loinc`] | whether a text is a LOINC code |
//! | [`catalogue`] | the tests a clinic orders and their LOINC codes |

mod redacted;
mod spelling;

pub mod access;
pub mod alert;
pub mod catalogue;
pub mod critical;
pub mod endpoint_alarm;
pub mod event;
pub mod ids;
pub mod intake;
pub mod loinc;
pub mod matching;
pub mod order;
pub mod parent;
pub mod person;
pub mod reconcile;
pub mod report;
pub mod result;
pub mod retry;
pub mod review;
pub mod routing;
pub mod silence;
pub mod specimen;
pub mod thresholds;
pub mod units;
pub mod value;
pub mod watched;

pub use spelling::UnknownSpelling;
