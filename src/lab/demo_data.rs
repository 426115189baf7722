//! What `pms demo` starts with: made-up patients, an account for each role, and the simulated laboratory as an endpoint.
//! Promise: a second start on the same data finds everything as it was left, passwords included.

use std::{net::SocketAddr, path::Path};

use chrono::{Days, NaiveDate};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::{
    access::{self, Resource},
    error::LabError,
    seed,
};
use crate::{
    config::Secret,
    context::{Caller, Ctx},
    domain::access::{Action, Role},
    hl7::outbound::PersonOut,
    security::{self, SecurityError, passwords, secret_file},
    store::{
        db, endpoints,
        entity::{encounter, lis_endpoint, patient, patient_identifier, user},
        patients,
    },
};

/// Name of the endpoint.
const LABORATORY: &str = "Simulated laboratory";
/// Who the simulated laboratory says it is, in MSH-3 and MSH-4.
const LABORATORY_NAMES: (&str, &str) = ("SIM_LIS", "SIM_LAB");
/// Holds a line `username / password` for each account.
const ACCOUNTS_FILE: &str = "demo-accounts.txt";
const ACCOUNTS: [Role; 5] =
    [Role::Admin, Role::Clinician, Role::LabManager, Role::InterfaceEngineer, Role::PrivacyOfficer];
/// The guide's examples place orders for patient 1 in encounter 1.
const GUIDE_ENCOUNTER: i64 = 1;

/// Somebody who can sign in.
pub struct DemoAccount {
    /// Sign-in name, which is that of the role.
    pub username: String,
    /// In clear, for the welcome text.
    pub password: String,
}

impl std::fmt::Debug for DemoAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DemoAccount({})", self.username)
    }
}

/// Somebody who never lived.
struct Person {
    id: i64,
    mrn: &'static str,
    /// Family, given, middle.
    name: [&'static str; 3],
    birth: Birth,
    gender: &'static str,
}

#[derive(Clone, Copy)]
enum Birth {
    On(i32, u32, u32),
    /// Days before the first start.
    DaysAgo(u64),
}

const fn person(
    id: i64,
    mrn: &'static str,
    name: [&'static str; 3],
    birth: Birth,
    gender: &'static str,
) -> Person {
    Person { id, mrn, name, birth, gender }
}

/// The guide's commands name the first two by their ids and the first by her medical record number.
const PEOPLE: [Person; 13] = [
    person(12_345, "12345", ["Doe", "Jane", ""], Birth::On(1990, 3, 15), "female"),
    person(1, "10001", ["Okafor", "Samuel", "Chidi"], Birth::On(1962, 11, 2), "male"),
    person(2, "10002", ["Müller-Lüttich", "Käthe", ""], Birth::On(1929, 1, 30), "female"),
    person(3, "10003", ["O'Connor", "Seán", ""], Birth::On(1987, 7, 8), "male"),
    person(4, "10004", ["Nguyễn", "Thị Mai", ""], Birth::On(1994, 12, 24), "female"),
    person(5, "10005", ["García Márquez", "Lucía", "Inés"], Birth::On(1975, 5, 5), "female"),
    person(6, "10006", ["Santos", "Baby Girl", ""], Birth::DaysAgo(3), "female"),
    person(7, "10007", ["Ångström", "Björn", ""], Birth::On(1951, 9, 17), "male"),
    person(8, "10008", ["Smith-Jones", "Alex", "Robin"], Birth::On(2001, 2, 28), "other"),
    person(9, "10009", ["van der Berg", "Willem", ""], Birth::On(1934, 4, 1), "male"),
    person(10, "10010", ["Yılmaz", "Zeynep", ""], Birth::On(2016, 10, 11), "female"),
    person(11, "10011", ["D'Angelo", "Pier-Luigi", ""], Birth::On(1968, 6, 21), "male"),
    person(12, "10012", ["Kowalczyk", "Wisława", ""], Birth::On(1983, 8, 13), "unknown"),
];

/// Loads what is missing. `laboratory` is where the simulated laboratory listens this time.
pub async fn load(ctx: &Ctx, laboratory: SocketAddr) -> Result<Vec<DemoAccount>, LabError> {
    load_patients(ctx).await?;
    load_laboratory(ctx, laboratory).await?;
    load_accounts(ctx).await
}

/// Whom the simulated laboratory may send results about by itself: grown-ups, because it knows no other ranges.
pub fn sim_patients(ctx: &Ctx) -> Vec<PersonOut> {
    let grown_up = PEOPLE.iter().filter_map(|person| match person.birth {
        Birth::On(year, ..) if year < 2005 => Some((person, born(ctx, person.birth))),
        _ => None,
    });
    let told = grown_up.map(|(person, birth_date)| PersonOut {
        mrn: person.mrn.into(),
        authority: ctx.config.sending_facility.clone(),
        family: person.name[0].into(),
        given: person.name[1].into(),
        middle: person.name[2].into(),
        birth_date,
        sex: person.gender[..1].to_ascii_uppercase(),
    });
    told.collect()
}

fn born(ctx: &Ctx, birth: Birth) -> Option<NaiveDate> {
    match birth {
        Birth::On(year, month, day) => NaiveDate::from_ymd_opt(year, month, day),
        Birth::DaysAgo(days) => ctx.clock.now().date_naive().checked_sub_days(Days::new(days)),
    }
}

/// The ids are fixed, so the patients go into an empty table or not at all: a number that is somebody else's by now
/// must not be handed out again.
async fn load_patients(ctx: &Ctx) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "demo_patients").await?;
    if patient::Entity::find().limit(1).one(&*tx).await?.is_some() {
        return Ok(());
    }
    let rows = PEOPLE.iter().map(|person| patient_row(ctx, person));
    patient::Entity::insert_many(rows).exec_without_returning(&*tx).await?;
    let rows = PEOPLE.iter().map(|person| identifier_row(ctx, person));
    patient_identifier::Entity::insert_many(rows).exec_without_returning(&*tx).await?;
    encounter::Entity::insert(encounter_row(ctx)).exec_without_returning(&*tx).await?;
    patients::skip_taken_ids(&tx).await?;
    let ids = PEOPLE.map(|person| person.id);
    let (caller, resource) = (Caller::system("demo"), Resource::many("patient", &ids));
    access::wrote(ctx, &tx, &caller, Action::WritePatient, resource).await?;
    tx.commit().await?;
    Ok(())
}

fn patient_row(ctx: &Ctx, person: &Person) -> patient::ActiveModel {
    let now = ctx.clock.now();
    let [family, given, middle] = person.name;
    patient::ActiveModel {
        id: Set(person.id),
        mrn: Set(person.mrn.into()),
        last_name: Set(family.into()),
        first_name: Set(given.into()),
        middle_name: Set((!middle.is_empty()).then(|| middle.to_owned())),
        date_of_birth: Set(born(ctx, person.birth)),
        gender: Set(person.gender.into()),
        phone: Set(None),
        email: Set(None),
        address: Set(None),
        restricted: Set(false),
        merged_into_id: Set(None),
        last_event_at: Set(None),
        row_version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        withdrawn_at: Set(None),
    }
}

fn identifier_row(ctx: &Ctx, person: &Person) -> patient_identifier::ActiveModel {
    patient_identifier::ActiveModel {
        patient_id: Set(person.id),
        authority: Set(ctx.config.sending_facility.clone()),
        id_type: Set("MR".into()),
        value: Set(person.mrn.into()),
        active: Set(true),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}

fn encounter_row(ctx: &Ctx) -> encounter::ActiveModel {
    let now = ctx.clock.now();
    encounter::ActiveModel {
        id: Set(GUIDE_ENCOUNTER),
        patient_id: Set(PEOPLE[1].id),
        class: Set("O".into()),
        status: Set("in-progress".into()),
        visit_number: Set(Some("V0001".into())),
        location: Set(Some("CLINIC1".into())),
        attending_provider: Set(Some("Dr. Smith".into())),
        started_at: Set(Some(now)),
        ended_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
        last_event_at: Set(None),
    }
}

/// The laboratory has another port at every start; the rest of its endpoint stays as people have set it.
async fn load_laboratory(ctx: &Ctx, at: SocketAddr) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "demo_laboratory").await?;
    let known =
        lis_endpoint::Entity::find().filter(lis_endpoint::Column::Name.eq(LABORATORY)).one(&*tx).await?;
    let now = ctx.clock.now();
    if let Some(row) = known {
        let mut change: lis_endpoint::ActiveModel = row.into();
        change.host = Set(Some(at.ip().to_string()));
        change.port = Set(Some(i32::from(at.port())));
        change.updated_at = Set(now);
        change.update(&*tx).await?;
    } else {
        let has_default = endpoints::all(&*tx).await?.iter().any(|row| row.is_default);
        let row = laboratory_row(ctx, at, !has_default);
        lis_endpoint::Entity::insert(row).exec_without_returning(&*tx).await?;
    }
    tx.commit().await?;
    ctx.hints.endpoints.wake();
    Ok(())
}

fn laboratory_row(ctx: &Ctx, at: SocketAddr, is_default: bool) -> lis_endpoint::ActiveModel {
    let now = ctx.clock.now();
    lis_endpoint::ActiveModel {
        name: Set(LABORATORY.into()),
        host: Set(Some(at.ip().to_string())),
        port: Set(Some(i32::from(at.port()))),
        direction: Set("both".into()),
        enabled: Set(true),
        paused: Set(false),
        is_default: Set(is_default),
        tls: Set(false),
        allow_plaintext: Set(false),
        allowed_networks: Set(json!(["127.0.0.1/32", "::1/128"])),
        receiving_application: Set(LABORATORY_NAMES.0.into()),
        receiving_facility: Set(LABORATORY_NAMES.1.into()),
        order_message: Set("ORM_O01".into()),
        hl7_version: Set("2.5.1".into()),
        ack_mode: Set("auto".into()),
        time_zone: Set("UTC".into()),
        profile: Set(json!({})),
        connection_state: Set("idle".into()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// An account for each role, with the passwords of the file.
async fn load_accounts(ctx: &Ctx) -> Result<Vec<DemoAccount>, LabError> {
    let path = ctx.config.data_dir.join(ACCOUNTS_FILE);
    let is_new = !path.exists();
    let accounts = read_accounts(&path)?;
    for (role, account) in ACCOUNTS.iter().zip(&accounts) {
        let by_name = user::Entity::find().filter(user::Column::Username.eq(account.username.as_str()));
        let password = Secret::new(account.password.clone());
        match by_name.one(ctx.db.reader()).await? {
            None => seed::add_user(ctx, &account.username, password, *role).await?,
            // Somebody removed the file, and with it the only copy of the old password.
            Some(row) if is_new => replace_password(ctx, row, password).await?,
            Some(_) => {}
        }
    }
    Ok(accounts)
}

fn read_accounts(path: &Path) -> Result<Vec<DemoAccount>, SecurityError> {
    let draw = || {
        let line = |role: &Role| Ok(format!("{role} / {}\n", security::random_hex::<8>()?));
        ACCOUNTS.iter().map(line).collect::<Result<String, SecurityError>>()
    };
    let bytes = secret_file::read_or_create(path, draw)?;
    let fault = || SecurityError::KeyFile(format!("{}: has no password for every role", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| fault())?;
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(" / ")).collect();
    let account = |role: &Role| {
        let username = role.to_string();
        let (_, password) = lines.iter().find(|(name, _)| *name == username).ok_or_else(fault)?;
        Ok(DemoAccount { username, password: (*password).to_owned() })
    };
    ACCOUNTS.iter().map(account).collect()
}

async fn replace_password(ctx: &Ctx, row: user::Model, password: Secret) -> Result<(), LabError> {
    let hash = passwords::hash(password).await?;
    let tx = db::write(&ctx.db, "demo_password").await?;
    let version = row.token_version + 1;
    let mut change: user::ActiveModel = row.into();
    change.password_hash = Set(hash);
    change.token_version = Set(version);
    change.updated_at = Set(ctx.clock.now());
    change.update(&*tx).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
