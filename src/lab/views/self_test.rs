use serde::Serialize;
use utoipa::ToSchema;

/// Whether an endpoint can be sent to, step by step.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = LisEndpointTest)]
pub struct SelfTestView {
    /// Whether every step went well.
    pub ok: bool,
    /// What was done, in this order. The first step that fails is the last one.
    pub steps: Vec<SelfTestStep>,
}

/// One step.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LisEndpointTestStep)]
pub struct SelfTestStep {
    /// `address` (the name was looked up, and it lies within bounds), `tcp` (a connection), `tls` (where the endpoint has it), `order` (a test order went
    /// out and was answered).
    pub step: &'static str,
    /// Whether it went well.
    pub ok: bool,
    /// What was found, in words; never content of a message.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}
