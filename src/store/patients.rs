//! Patients, their identifiers and their visits.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, sea_query::LockType,
};

use super::entity::{encounter, patient, patient_identifier};

/// One patient by id.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<patient::Model>, DbErr> {
    patient::Entity::find_by_id(id).one(connection).await
}

/// Patients by id.
pub async fn find_all(connection: &impl ConnectionTrait, ids: &[i64]) -> Result<Vec<patient::Model>, DbErr> {
    patient::Entity::find().filter(patient::Column::Id.is_in(ids.iter().copied())).all(connection).await
}

/// The patient that a medical record number names, in our authority first, then in any. A merged record leads to
/// its survivor. `None` also when several authorities gave the number to different patients.
pub async fn find_by_mrn(
    connection: &impl ConnectionTrait,
    authority: &str,
    mrn: &str,
) -> Result<Option<patient::Model>, DbErr> {
    let rows = patient_identifier::Entity::find()
        .filter(patient_identifier::Column::Value.eq(mrn))
        .filter(patient_identifier::Column::IdType.eq("MR"))
        .order_by_asc(patient_identifier::Column::Id)
        .all(connection)
        .await?;
    let ours = rows.iter().find(|row| row.authority == authority);
    let mut owners: Vec<i64> = rows.iter().map(|row| row.patient_id).collect();
    owners.dedup();
    let owner = match (ours, owners.as_slice()) {
        (Some(row), _) => row.patient_id,
        (None, [only]) => *only,
        (None, _) => return Ok(None),
    };
    survivor(connection, owner).await
}

/// Follows merges to the record that is in use.
pub async fn survivor(connection: &impl ConnectionTrait, id: i64) -> Result<Option<patient::Model>, DbErr> {
    let mut current = find(connection, id).await?;
    // Merges never form a ring, but a damaged row must not hang a request.
    for _ in 0..32 {
        match current.as_ref().and_then(|patient| patient.merged_into_id) {
            Some(next) => current = find(connection, next).await?,
            None => break,
        }
    }
    Ok(current)
}

/// Identifiers of several patients.
pub async fn identifiers_of(
    connection: &impl ConnectionTrait,
    patients: &[i64],
) -> Result<Vec<patient_identifier::Model>, DbErr> {
    patient_identifier::Entity::find()
        .filter(patient_identifier::Column::PatientId.is_in(patients.iter().copied()))
        .order_by_asc(patient_identifier::Column::Id)
        .all(connection)
        .await
}

/// Patients by a part of a name or number, and by birth date. Merged and withdrawn records are
/// left out.
pub fn search(text: Option<&str>, birth_date: Option<chrono::NaiveDate>) -> Select<patient::Entity> {
    let mut query = patient::Entity::find()
        .filter(patient::Column::MergedIntoId.is_null())
        .filter(patient::Column::WithdrawnAt.is_null());
    for word in text.unwrap_or_default().split([' ', ',']).filter(|word| !word.is_empty()) {
        let any = Condition::any()
            .add(starts_with(patient::Column::LastName, word))
            .add(starts_with(patient::Column::FirstName, word))
            .add(patient::Column::Mrn.eq(word));
        query = query.filter(any);
    }
    if let Some(date) = birth_date {
        query = query.filter(patient::Column::DateOfBirth.eq(date));
    }
    query
}

/// A case-blind match on the beginning, with the pattern's own wildcards taken literally.
fn starts_with(column: patient::Column, word: &str) -> sea_orm::sea_query::SimpleExpr {
    use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
    let literal = word.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    Func::lower(Expr::col(column)).like(LikeExpr::new(format!("{literal}%")).escape('\\'))
}

/// One visit.
pub async fn find_encounter(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<encounter::Model>, DbErr> {
    encounter::Entity::find_by_id(id).one(connection).await
}

/// Keeps a patient as a row that others point at until the end of the transaction: no merge moves their rows meanwhile.
/// Whoever holds one of these rows as well takes the patient first, as a merge does.
pub async fn hold(connection: &impl ConnectionTrait, id: i64) -> Result<(), DbErr> {
    patient::Entity::find_by_id(id).lock(LockType::KeyShare).one(connection).await.map(|_| ())
}

/// One visit, held until the end of the transaction.
pub async fn lock_encounter(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<encounter::Model>, DbErr> {
    encounter::Entity::find_by_id(id).lock_exclusive().one(connection).await
}

/// Makes new patients and visits count on from the highest id there is. Needed after rows with ids of their own:
/// PostgreSQL's sequences do not notice those, SQLite does.
pub async fn skip_taken_ids(tx: &super::db::Tx) -> Result<(), DbErr> {
    if !tx.is_postgres() {
        return Ok(());
    }
    for table in ["patients", "encounters"] {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table})) \
             WHERE EXISTS (SELECT 1 FROM {table})"
        );
        tx.execute_unprepared(&sql).await?;
    }
    Ok(())
}
