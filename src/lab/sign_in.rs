//! Signing in and staying signed in. Promise: a token works only while its user may use the service; disabling a
//! user, changing the role or signing out holds from the next request on.

use std::net::IpAddr;

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    access::{self, Resource},
    error::LabError,
};
use crate::{
    config::Secret,
    context::{Caller, Ctx},
    domain::access::{Action, Role},
    security::{
        passwords,
        tokens::{Claims, Purpose},
    },
    store::{db, entity::user},
};

/// An absolute end of a session, however often it is refreshed.
const SESSION_SECONDS: i64 = 12 * 3600;
/// A hash of no password, verified when the user does not exist, so that the answer takes as long as for one who does.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$2V3p0yZ1O5fXbk5rT0q5z0s1b1J2K3h4c5d6e7f8g9g";

/// The pair of tokens that a sign-in gives.
pub struct Tokens {
    /// For the API.
    pub access: String,
    /// For the next pair.
    pub refresh: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
}

/// Where a request comes from, before it is known who makes it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Id of the request.
    pub request_id: String,
    /// Address of the peer.
    pub ip: Option<IpAddr>,
}

/// Checks a password and gives tokens. Every try leaves an access row, failed ones too.
pub async fn sign_in(
    ctx: &Ctx,
    origin: &Origin,
    username: &str,
    password: Secret,
) -> Result<Tokens, LabError> {
    let row = find_user(ctx, username).await?;
    let hash = row.as_ref().map_or_else(|| NOBODY.to_owned(), |row| row.password_hash.clone());
    let verified = passwords::verify(password, hash).await?;
    let Some(row) = row.filter(|row| verified && !row.disabled) else {
        let nobody = Caller { username: username.chars().take(100).collect(), ..anonymous(origin) };
        record(ctx, &nobody, "denied").await?;
        return Err(LabError::Unauthenticated("Incorrect username or password"));
    };
    let tx = db::write(&ctx.db, "sign_in").await?;
    let caller = caller_of(&row, origin)?;
    let mut change: user::ActiveModel = row.clone().into();
    change.last_login_at = Set(Some(ctx.clock.now()));
    change.update(&*tx).await?;
    access::wrote(ctx, &tx, &caller, Action::SignIn, Resource::one("user", row.id, &[])).await?;
    tx.commit().await?;
    issue(ctx, &row, ctx.clock.now().timestamp())
}

/// Gives a new pair for a refresh token.
pub async fn refresh(ctx: &Ctx, token: &str) -> Result<Tokens, LabError> {
    const REFUSED: LabError = LabError::Unauthenticated("Could not validate credentials");
    let now = ctx.clock.now();
    let claims = ctx.tokens.verify(Purpose::Refresh, token, now).ok_or(REFUSED)?;
    let row = find_user(ctx, &claims.sub).await?.ok_or(REFUSED)?;
    let over = now.timestamp() - claims.since >= SESSION_SECONDS;
    if row.disabled || row.token_version != claims.ver || over {
        return Err(REFUSED);
    }
    issue(ctx, &row, claims.since)
}

/// Ends every session of the caller.
pub async fn sign_out(ctx: &Ctx, caller: &Caller) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "sign_out").await?;
    let row = user::Entity::find_by_id(caller.user_id).one(&*tx).await?.ok_or(LabError::NotFound("User"))?;
    let version = row.token_version + 1;
    let mut change: user::ActiveModel = row.into();
    change.token_version = Set(version);
    change.update(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::SignOut, Resource::one("user", caller.user_id, &[])).await?;
    tx.commit().await?;
    Ok(())
}

/// Turns a bearer token into the caller it stands for.
pub async fn authenticate(ctx: &Ctx, origin: &Origin, token: &str) -> Result<Caller, LabError> {
    const REFUSED: LabError = LabError::Unauthenticated("Could not validate credentials");
    let claims = ctx.tokens.verify(Purpose::Access, token, ctx.clock.now()).ok_or(REFUSED)?;
    caller_behind(ctx, origin, &claims).await
}

/// The user that checked claims name, as long as the user may use the service.
pub(super) async fn caller_behind(ctx: &Ctx, origin: &Origin, claims: &Claims) -> Result<Caller, LabError> {
    const REFUSED: LabError = LabError::Unauthenticated("Could not validate credentials");
    let row = find_user(ctx, &claims.sub).await?.ok_or(REFUSED)?;
    if row.disabled || row.token_version != claims.ver {
        return Err(REFUSED);
    }
    caller_of(&row, origin)
}

/// The caller when nobody signs in (`PMS_AUTH=dev`): a named user that may do everything, so that rows still say who.
pub fn developer(origin: &Origin) -> Caller {
    Caller { username: "developer".into(), role: Role::Developer, ..anonymous(origin) }
}

async fn find_user(ctx: &Ctx, username: &str) -> Result<Option<user::Model>, LabError> {
    let query = user::Entity::find().filter(user::Column::Username.eq(username));
    Ok(query.one(ctx.db.reader()).await?)
}

fn anonymous(origin: &Origin) -> Caller {
    Caller {
        user_id: 0,
        username: String::new(),
        role: Role::Service,
        request_id: origin.request_id.clone(),
        ip: origin.ip,
    }
}

fn caller_of(row: &user::Model, origin: &Origin) -> Result<Caller, LabError> {
    let role: Role = row.role.parse().map_err(|_| LabError::Denied)?;
    if !role.is_assignable() {
        return Err(LabError::Denied);
    }
    Ok(Caller { user_id: row.id, username: row.username.clone(), role, ..anonymous(origin) })
}

fn issue(ctx: &Ctx, row: &user::Model, since: i64) -> Result<Tokens, LabError> {
    let now = ctx.clock.now();
    let token = |purpose| ctx.tokens.issue(purpose, &row.username, row.token_version, since, now);
    Ok(Tokens {
        access: token(Purpose::Access)?,
        refresh: token(Purpose::Refresh)?,
        expires_in: Purpose::Access.lifetime().num_seconds(),
    })
}

async fn record(ctx: &Ctx, caller: &Caller, outcome: &str) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "sign_in").await?;
    access::tried(ctx, &tx, caller, Action::SignIn, outcome).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    /// One that cannot be read is answered at once, and the clock tells a stranger which names exist.
    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody() {
        let somebody = passwords::hash(Secret::new("correct horse")).await.unwrap();
        let (nobody, somebody) = (PasswordHash::new(NOBODY).unwrap(), PasswordHash::new(&somebody).unwrap());
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.version, somebody.version);
        assert_eq!(nobody.params.to_string(), somebody.params.to_string());
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
    }
}
