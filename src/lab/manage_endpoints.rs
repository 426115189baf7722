//! Setting up the laboratory systems we talk to. Promise: an endpoint that is stored can be used as it stands; what it
//! could not do is refused with the field that stands in the way.

mod check;

use std::net::IpAddr;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::Expr,
};
use serde_json::{Value, json};

pub use check::{ACK_MODES, DIRECTIONS, ORDER_MESSAGES};

use super::{
    access::{self, Resource},
    endpoint_doors::{DirectoryDoor, SftpDoor},
    endpoint_profile::Habits,
    error::LabError,
    page::{self, Page, PageRequest},
    pull_sftp,
    route_order::route_waiting_orders,
    views::EndpointView,
    watch_directory,
};
use crate::{
    config::outbound_address_allowed,
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db::{self, Tx},
        endpoints,
        entity::{
            lis_endpoint::{ActiveModel, Column, Entity, Model},
            outbox as outbox_row,
        },
        is_unique_violation, outbox,
    },
};

/// Everything that can be set on an endpoint.
#[derive(Clone)]
pub struct EndpointSettings {
    /// Unique name.
    pub name: String,
    /// Where it listens.
    pub host: Option<String>,
    /// Port where it listens.
    pub port: Option<i64>,
    /// `inbound`, `outbound` or `both`.
    pub direction: String,
    /// Whether it takes part at all.
    pub enabled: bool,
    /// Whether sending is paused.
    pub paused: bool,
    /// Whether orders that name no lab go here.
    pub is_default: bool,
    /// Whether we speak TLS to it.
    pub tls: bool,
    /// Whether it may speak without TLS from beyond this machine.
    pub allow_plaintext: bool,
    /// CIDR blocks it may come from.
    pub allowed_networks: Vec<String>,
    /// Its application name.
    pub receiving_application: String,
    /// Its facility name.
    pub receiving_facility: String,
    /// Our application name towards it.
    pub sending_application: Option<String>,
    /// Our facility name towards it.
    pub sending_facility: Option<String>,
    /// `ORM_O01` or `OML_O21`.
    pub order_message: String,
    /// Version of what we send.
    pub hl7_version: String,
    /// `auto`, `original` or `enhanced`.
    pub ack_mode: String,
    /// Character set it uses when MSH-18 is empty.
    pub charset: Option<String>,
    /// IANA zone of its times without offset.
    pub time_zone: String,
    /// Its deviations from the standard.
    pub profile: Value,
    /// Our test codes and what it orders them by.
    pub code_map: Value,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            host: None,
            port: None,
            direction: "both".into(),
            enabled: true,
            paused: false,
            is_default: false,
            tls: false,
            allow_plaintext: false,
            allowed_networks: Vec::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            sending_application: None,
            sending_facility: None,
            order_message: "ORM_O01".into(),
            hl7_version: "2.5.1".into(),
            ack_mode: "auto".into(),
            charset: None,
            time_zone: "UTC".into(),
            profile: json!({}),
            code_map: json!({}),
        }
    }
}

impl EndpointSettings {
    fn of(row: &Model) -> Self {
        let view = EndpointView::from(row.clone());
        Self {
            name: view.name,
            host: view.host,
            port: view.port.map(i64::from),
            direction: view.direction,
            enabled: view.enabled,
            paused: view.paused,
            is_default: view.is_default,
            tls: view.tls,
            allow_plaintext: view.allow_plaintext,
            allowed_networks: view.allowed_networks,
            receiving_application: view.receiving_application,
            receiving_facility: view.receiving_facility,
            sending_application: view.sending_application,
            sending_facility: view.sending_facility,
            order_message: view.order_message,
            hl7_version: view.hl7_version,
            ack_mode: view.ack_mode,
            charset: view.charset,
            time_zone: view.time_zone,
            profile: view.profile,
            code_map: view.code_map,
        }
    }

    fn write_to(self, row: &mut ActiveModel) {
        row.name = Set(self.name);
        row.host = Set(self.host);
        row.port = Set(self.port.and_then(|port| i32::try_from(port).ok()));
        row.direction = Set(self.direction);
        row.enabled = Set(self.enabled);
        row.paused = Set(self.paused);
        row.is_default = Set(self.is_default);
        row.tls = Set(self.tls);
        row.allow_plaintext = Set(self.allow_plaintext);
        row.allowed_networks = Set(json!(self.allowed_networks));
        row.receiving_application = Set(self.receiving_application);
        row.receiving_facility = Set(self.receiving_facility);
        row.sending_application = Set(self.sending_application);
        row.sending_facility = Set(self.sending_facility);
        row.order_message = Set(self.order_message);
        row.hl7_version = Set(self.hl7_version);
        row.ack_mode = Set(self.ack_mode);
        row.charset = Set(self.charset);
        row.time_zone = Set(self.time_zone);
        row.profile = Set(self.profile);
        row.code_map = Set(Some(self.code_map));
    }
}

/// All endpoints.
pub async fn list_endpoints(
    ctx: &Ctx,
    caller: &Caller,
    request: PageRequest,
) -> Result<Page<EndpointView>, LabError> {
    access::permit(ctx, caller, Action::ReadEndpoint, "lis_endpoint").await?;
    let query = Entity::find().filter(Column::Id.ne(0)).filter(Column::DeletedAt.is_null());
    let page = page::fetch(ctx.db.reader(), query, Column::Id, request, |row| row.id).await?;
    Ok(page.map(EndpointView::from))
}

/// One endpoint.
pub async fn read_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EndpointView, LabError> {
    access::permit(ctx, caller, Action::ReadEndpoint, "lis_endpoint").await?;
    let row = endpoints::find(ctx.db.reader(), id).await?;
    Ok(row.ok_or(LabError::NotFound("LIS endpoint"))?.into())
}

/// Makes an endpoint. Orders that waited for a lab are routed to it.
pub async fn create_endpoint(
    ctx: &Ctx,
    caller: &Caller,
    settings: EndpointSettings,
) -> Result<EndpointView, LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    checked(ctx, &settings)?;
    let tx = db::write(&ctx.db, "create_endpoint").await?;
    check_doors(ctx, &tx, None, &settings).await?;
    if settings.is_default {
        clear_default(&tx).await?;
    }
    let now = ctx.clock.now();
    let mut row = ActiveModel {
        connection_state: Set("idle".into()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    settings.write_to(&mut row);
    let row = row.insert(&*tx).await.map_err(taken)?;
    finish(ctx, &tx, caller, &row).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    Ok(row.into())
}

/// Changes an endpoint; `change` gets the settings as they are.
pub async fn update_endpoint(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    change: impl FnOnce(&mut EndpointSettings) + Send,
) -> Result<EndpointView, LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    let tx = db::write(&ctx.db, "update_endpoint").await?;
    let row = endpoints::find(&*tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
    let before = EndpointSettings::of(&row);
    let mut settings = before.clone();
    change(&mut settings);
    checked(ctx, &settings)?;
    if doors(&before.profile) != doors(&settings.profile) {
        check_doors(ctx, &tx, Some(id), &settings).await?;
    }
    if settings.is_default && !before.is_default {
        clear_default(&tx).await?;
    }
    let mut next: ActiveModel = row.into();
    settings.write_to(&mut next);
    next.updated_at = Set(ctx.clock.now());
    let row = next.update(&*tx).await.map_err(taken)?;
    finish(ctx, &tx, caller, &row).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    Ok(row.into())
}

/// Stops sending to an endpoint; what is ordered meanwhile waits.
pub async fn pause_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EndpointView, LabError> {
    update_endpoint(ctx, caller, id, |settings| settings.paused = true).await
}

/// Goes on sending.
pub async fn resume_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<EndpointView, LabError> {
    update_endpoint(ctx, caller, id, |settings| settings.paused = false).await
}

/// Takes an endpoint out of use. Its row stays, because messages point at it; its name becomes free. Errors:
/// `Conflict` while messages wait for it, which would never be sent and never be missed.
pub async fn delete_endpoint(ctx: &Ctx, caller: &Caller, id: i64) -> Result<(), LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    let tx = db::write(&ctx.db, "delete_endpoint").await?;
    let row = endpoints::lock(&*tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
    let waiting = waiting(&tx, id).await?;
    if waiting > 0 {
        let plural = if waiting == 1 { "message waits" } else { "messages wait" };
        return Err(LabError::Conflict(format!("{waiting} {plural} to be sent to this endpoint")));
    }
    let now = ctx.clock.now();
    let name = format!("{} (deleted {id})", row.name);
    let mut next: ActiveModel = row.into();
    next.name = Set(name);
    next.enabled = Set(false);
    next.is_default = Set(false);
    next.deleted_at = Set(Some(now));
    next.updated_at = Set(now);
    next.update(&*tx).await?;
    access::wrote(ctx, &tx, caller, Action::WriteEndpoint, Resource::one("lis_endpoint", id, &[])).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    Ok(())
}

fn checked(ctx: &Ctx, settings: &EndpointSettings) -> Result<(), LabError> {
    check::check(settings)?;
    // A host name is looked up, and its addresses checked, each time we connect.
    let literal = settings.host.as_deref().and_then(|host| host.parse::<IpAddr>().ok());
    if literal
        .is_some_and(|address| !outbound_address_allowed(address, &ctx.config.outbound_allowed_networks))
    {
        let message = "this address is out of bounds; OUTBOUND_ALLOWED_NETWORKS can open it";
        return Err(LabError::invalid("host", message));
    }
    Ok(())
}

/// The doors that an endpoint's files come through are checked when they are set. What becomes of them later is shown in the
/// endpoint's state, and must not stand in the way of other changes.
async fn check_doors(
    ctx: &Ctx,
    tx: &Tx,
    id: Option<i64>,
    settings: &EndpointSettings,
) -> Result<(), LabError> {
    let (directory, sftp) = doors(&settings.profile);
    let wrong = |why| LabError::invalid("profile", why);
    if let Some(door) = directory {
        let rows = endpoints::all(&**tx).await?.into_iter().filter(|row| Some(row.id) != id);
        let others = rows.filter_map(|row| doors(&row.profile).0).map(|door| door.path).collect();
        watch_directory::check_directory(ctx, door.path, others).await.map_err(wrong)?;
    }
    if let Some(door) = sftp {
        pull_sftp::check_sftp(&ctx.config, &door).await.map_err(wrong)?;
    }
    Ok(())
}

fn doors(profile: &Value) -> (Option<DirectoryDoor>, Option<SftpDoor>) {
    Habits::read(profile).map_or((None, None), |habits| (habits.directory, habits.sftp))
}

/// What follows from an endpoint as it now stands.
async fn finish(ctx: &Ctx, tx: &Tx, caller: &Caller, row: &Model) -> Result<(), LabError> {
    if endpoints::takes_orders(row) {
        route_waiting_orders(ctx, tx).await?;
    }
    access::wrote(ctx, tx, caller, Action::WriteEndpoint, Resource::one("lis_endpoint", row.id, &[])).await?;
    Ok(())
}

/// There is one default at most.
async fn clear_default(tx: &Tx) -> Result<(), DbErr> {
    let query = Entity::update_many().col_expr(Column::IsDefault, Expr::value(false));
    query.filter(Column::IsDefault.eq(true)).exec(&**tx).await.map(|_| ())
}

async fn waiting(tx: &Tx, id: i64) -> Result<u64, DbErr> {
    outbox_row::Entity::find()
        .filter(outbox_row::Column::LisEndpointId.eq(id))
        .filter(outbox_row::Column::Status.eq(outbox::QUEUED))
        .count(&**tx)
        .await
}

fn taken(error: DbErr) -> LabError {
    if is_unique_violation(&error) {
        return LabError::Conflict("A LIS endpoint with this name exists".into());
    }
    error.into()
}
