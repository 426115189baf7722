//! Tickets that open one event stream each, for browsers, whose `EventSource` sends no headers. A ticket stands in a
//! URL and may end in a log, so it lasts 30 seconds and is good for one use.
//!
//! Tickets are signed, so any instance takes one that another gave. Which are used up is remembered by the instance that
//! took them: behind a balancer, a ticket stolen within its 30 seconds could be used once more at another instance.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use sea_orm::EntityTrait;

use super::{
    access,
    error::LabError,
    sign_in::{Origin, caller_behind, developer},
};
use crate::{
    config::AuthMode,
    context::{Caller, Ctx},
    domain::access::Action,
    security::tokens::Purpose,
    store::entity::user,
};

const REFUSED: LabError = LabError::Unauthenticated("Could not validate credentials");

/// The tickets that were used here and have not expired yet. Cheap to clone.
#[derive(Clone, Default)]
pub struct UsedTickets(Arc<Mutex<HashMap<String, DateTime<Utc>>>>);

impl UsedTickets {
    /// Marks a ticket as used. False: it was already.
    fn take(&self, id: String, now: DateTime<Utc>) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, expires_at| *expires_at > now);
        used.insert(id, now + Purpose::Stream.lifetime()).is_none()
    }
}

/// Gives a ticket to a caller who may follow the stream.
pub async fn issue_ticket(ctx: &Ctx, caller: &Caller) -> Result<String, LabError> {
    access::permit(ctx, caller, Action::ReadAlert, "alert_event").await?;
    let row = user::Entity::find_by_id(caller.user_id).one(ctx.db.reader()).await?;
    let version = row.map_or(0, |row| row.token_version);
    Ok(ctx.tokens.issue_ticket(&caller.username, version, ctx.clock.now())?)
}

/// Turns a ticket into the caller it was given to, once.
pub async fn redeem_ticket(
    ctx: &Ctx,
    used: &UsedTickets,
    origin: &Origin,
    ticket: &str,
) -> Result<Caller, LabError> {
    let now = ctx.clock.now();
    let claims = ctx.tokens.verify(Purpose::Stream, ticket, now).ok_or(REFUSED)?;
    let id = claims.jti.clone().ok_or(REFUSED)?;
    if !used.take(id, now) {
        return Err(REFUSED);
    }
    if ctx.config.auth == AuthMode::Dev {
        return Ok(developer(origin));
    }
    caller_behind(ctx, origin, &claims).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_taken_once_and_forgotten_after_its_time() {
        let used = UsedTickets::default();
        let start = DateTime::UNIX_EPOCH;
        let at = |seconds| start + chrono::Duration::seconds(seconds);
        assert!(used.take("a".into(), at(0)));
        assert!(!used.take("a".into(), at(29)));
        assert!(used.take("b".into(), at(100)));
        let kept = used.0.lock().map(|used| used.len());
        assert_eq!(kept.ok(), Some(1), "an expired ticket is refused by its date, not by memory");
    }
}
