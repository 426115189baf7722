//! Messages by HTTP: the same way in as by MLLP, for a caller who is known by a key or a token.

use super::{
    access::{self, Resource},
    error::LabError,
    reception::{Answer, Bearer, Reception},
};
use crate::{
    context::Caller,
    domain::{access::Action, ids::EndpointId},
    hl7::{batch::unframe, frame::Frame},
};

/// Who hands in, and for which endpoint.
#[derive(Clone, Debug)]
pub struct Submitter {
    /// For the access log.
    pub caller: Caller,
    /// Whose messages these are; 0 when no endpoint names the sender.
    pub endpoint: EndpointId,
    /// Whether a key opened the door, and not one of our own people.
    pub by_key: bool,
}

impl Submitter {
    /// Where what is handed in comes from; `None` when from one of our own people.
    pub fn source(&self) -> Option<i64> {
        self.by_key.then(|| self.endpoint.get())
    }
}

/// Hands in a body: a message, several, or a batch, in the frame of MLLP or without it. Errors: `Denied`; `Invalid` when
/// there is nothing in it; `Unavailable` when the service stops.
pub async fn submit_hl7(
    reception: &Reception,
    submitter: &Submitter,
    body: &[u8],
) -> Result<Answer, LabError> {
    let ctx = &reception.ctx;
    let caller = &submitter.caller;
    access::permit(ctx, caller, Action::SubmitHl7, "hl7_message").await?;
    let bytes = unframe(body);
    if bytes.trim_ascii().is_empty() {
        return Err(LabError::invalid("", "a message is needed"));
    }
    let bearer = Bearer::Endpoint(submitter.endpoint, caller.ip);
    let pending = reception.hand_in(bearer, Frame::Message(bytes.to_vec())).await?;
    let answer = pending.answer().await?;
    access::seen(ctx, caller, Action::SubmitHl7, Resource::many("hl7_message", &[])).await?;
    Ok(answer)
}
