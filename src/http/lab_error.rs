//! What a use case's error is on the wire.

use super::error::ApiError;
use crate::lab::LabError;
use crate::reader::problem::{Loc, Problem};

impl From<LabError> for ApiError {
    fn from(error: LabError) -> Self {
        match error {
            LabError::NotFound(noun) => Self::Missing(noun),
            LabError::Conflict(why) => Self::conflict(why),
            LabError::Invalid { field, message } => {
                Self::Unprocessable(vec![Problem::value_error(place(field), &message)])
            }
            LabError::Unauthenticated(detail) => Self::Unauthorized { detail },
            LabError::Denied => Self::Forbidden,
            LabError::TooManyRequests(seconds) => {
                Self::TooManyRequests { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX) }
            }
            LabError::Unavailable => Self::Unavailable,
            // The class only: the words of a database error quote the key that was violated.
            LabError::Database(_) | LabError::Security(_) => {
                tracing::error!(class = error.class(), "a request failed");
                if error.is_outage() { Self::Unavailable } else { Self::Internal }
            }
        }
    }
}

/// `read_back.mismatch_reason` as the steps of a `loc`.
fn place(field: &'static str) -> Vec<Loc> {
    std::iter::once("body").chain(field.split('.')).map(Loc::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::SecurityError;

    #[test]
    fn every_error_has_its_status() {
        for (error, status) in [
            (LabError::NotFound("Patient"), 404),
            (LabError::Conflict("no".into()), 409),
            (LabError::invalid("note", "a note is required"), 422),
            (LabError::Unauthenticated("who?"), 401),
            (LabError::Denied, 403),
            (LabError::TooManyRequests(7), 429),
            (LabError::Unavailable, 503),
            (LabError::Security(SecurityError::Decrypt), 500),
        ] {
            assert_eq!(ApiError::from(error).status().as_u16(), status);
        }
    }

    #[test]
    fn nested_fields_keep_their_steps() {
        let steps = place("read_back.mismatch_reason");
        assert_eq!(steps, ["body", "read_back", "mismatch_reason"].map(Loc::from));
    }
}
