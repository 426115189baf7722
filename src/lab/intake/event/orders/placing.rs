//! Somebody else orders through us. Promise: a patient who is certain, or nothing; the same order again is the same order;
//! all new orders of a message, or none.

use std::collections::HashMap;

use sea_orm::DbErr;

use super::{
    super::{Applied, Desk, visit::visit_of},
    Asked, Whose,
    changing::standing,
    database,
    named::Named,
    refusal,
};
use crate::{
    context::Caller,
    domain::{
        access::Action,
        event::{OrderControl, OrderRequest, Placement, SentNumber, Unplaceable},
        ids::PatientId,
    },
    hl7::{ErrorCode, Fault, Location, SegmentName, ack_orders::AnsweredOrder},
    lab::{
        access::{self, Resource},
        order_progress::Cause,
        outside_order::{self, Outside},
    },
    store::{db::Tx, entity::lab_order_test, orders},
};

/// New orders of a message, by their place in it.
pub(super) struct Placed(HashMap<u32, lab_order_test::Model>);

impl Placed {
    /// The answer to a new order: our number, and where it stands.
    pub(super) fn answer(&self, asked: &Asked<'_>) -> AnsweredOrder {
        let Some(test) = self.0.get(&asked.at.1) else { return refusal(asked.request) };
        standing(OrderControl::New.consent(), asked.request, test)
    }
}

/// What is to be done about a new order.
enum New {
    /// It is to be placed for this patient.
    Place(PatientId),
    /// It is here already.
    Here(Box<lab_order_test::Model>),
}

impl Desk<'_> {
    /// Places the new orders of a message: one order of ours for each patient. Answers why not, when one of them cannot
    /// be placed; nothing was written then.
    pub(super) async fn place_new(
        &self,
        tx: &mut Tx,
        asked: &[Asked<'_>],
        named: &mut Named,
        applied: &mut Applied,
    ) -> Result<Result<Placed, Fault>, DbErr> {
        let new = asked.iter().filter(|asked| asked.request.control == Some(OrderControl::New));
        let mut placed = HashMap::new();
        let mut wanted: Vec<(PatientId, Vec<Asked<'_>>)> = Vec::new();
        let mut seen: Vec<&SentNumber> = Vec::new();
        for asked in new.copied() {
            match plan(&asked, named, &mut seen) {
                Err(fault) => return Ok(Err(fault)),
                Ok(New::Here(test)) => {
                    applied.warn("order_here_already");
                    named.touched.extend(asked.whose.patient().map(|patient| (test.lab_order_id, patient)));
                    placed.insert(asked.at.1, *test);
                }
                Ok(New::Place(patient)) => match wanted.iter_mut().find(|(known, _)| *known == patient) {
                    Some((_, all)) => all.push(asked),
                    None => wanted.push((patient, vec![asked])),
                },
            }
        }
        for (patient, all) in wanted {
            let tests = self.place(tx, patient, &all, applied).await?;
            named.touched.extend(tests.first().map(|test| (test.lab_order_id, patient.get())));
            placed.extend(all.iter().map(|asked| asked.at.1).zip(tests));
        }
        Ok(Ok(Placed(placed)))
    }

    /// Places one order and answers its tests.
    async fn place(
        &self,
        tx: &mut Tx,
        patient: PatientId,
        all: &[Asked<'_>],
        applied: &mut Applied,
    ) -> Result<Vec<lab_order_test::Model>, DbErr> {
        let requests: Vec<&OrderRequest> = all.iter().map(|asked| asked.request).collect();
        let notes: Vec<String> = all.iter().flat_map(|asked| &asked.person.notes).cloned().collect();
        let placement = Placement::of(&requests, &notes);
        placement.warnings.iter().for_each(|word| applied.warn(word));
        let new = Outside {
            patient: patient.get(),
            encounter: self.encounter(tx, patient, all, applied).await?,
            source: Some(self.arrival.profile.id.get()),
            by: "hl7",
            placement,
            requests: &requests,
        };
        let cause = Cause { actor: "placer", kind: "created", detail: None, message_id: Some(self.message) };
        let order = outside_order::place(self.ctx, tx, new, cause).await.map_err(database)?;
        let resource = [order.patient_id];
        let resource = Resource::one("lab_order", order.id, &resource);
        access::wrote(self.ctx, tx, &Caller::system("hl7"), Action::PlaceOrder, resource).await?;
        orders::tests_of(&**tx, &[order.id]).await
    }

    /// The visit that is named, when it is known.
    async fn encounter(
        &self,
        tx: &Tx,
        patient: PatientId,
        all: &[Asked<'_>],
        applied: &mut Applied,
    ) -> Result<Option<i64>, DbErr> {
        let Some(number) = all.iter().find_map(|asked| asked.person.visit.as_deref()) else {
            return Ok(None);
        };
        let visit = visit_of(tx, patient.get(), Some(number)).await?;
        if visit.is_none() {
            applied.warn("visit_unknown");
        }
        Ok(visit.map(|row| row.id))
    }
}

/// What is to be done about one new order.
fn plan<'a>(asked: &Asked<'a>, named: &Named, seen: &mut Vec<&'a SentNumber>) -> Result<New, Fault> {
    let (pid, nth) = asked.at;
    let Whose::Of(patient) = asked.whose else {
        let fault = Fault::new(ErrorCode::UnknownKey, "the patient of a new order is not certain");
        return Err(fault.at(Location::segment(SegmentName::PID, pid).field(3)));
    };
    let obr = |field| Location::segment(SegmentName::OBR, nth).field(field);
    asked.request.placeable().map_err(|why| fault(why, obr))?;
    let twice = Fault::new(ErrorCode::DuplicateKey, "the number of a new order is in use").at(obr(2));
    let Some(number) = &asked.request.placer else { return Err(twice) };
    if seen.iter().any(|other| other.id == number.id && other.may_be_of(number.giver())) {
        return Err(twice);
    }
    seen.push(number);
    match named.outside(number).as_slice() {
        [] => Ok(New::Place(patient)),
        [test] if named.stands(test, patient) && test.test_code == asked.request.service.code.trim() => {
            Ok(New::Here(Box::new((*test).clone())))
        }
        _ => Err(twice),
    }
}

fn fault(why: Unplaceable, obr: impl Fn(u16) -> Location) -> Fault {
    use ErrorCode::{DataType, OtherHl7, RequiredFieldMissing, ValueTooLong};
    let (code, reason, field) = match why {
        Unplaceable::NumberMissing => (RequiredFieldMissing, "a new order has no number", 2),
        Unplaceable::NumbersDiffer => (OtherHl7, "ORC and OBR name two orders", 2),
        Unplaceable::NumberUnusable => (DataType, "the number of a new order cannot be kept", 2),
        Unplaceable::TestMissing => (RequiredFieldMissing, "nothing says what is ordered", 4),
        Unplaceable::TestTooLong => (ValueTooLong, "the code of a test is too long", 4),
        Unplaceable::TestUnusable => (DataType, "the code of a test cannot be kept", 4),
    };
    Fault::new(code, reason).at(obr(field))
}
