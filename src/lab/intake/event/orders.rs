//! Orders as others speak of them. Promise: an order moves only by a word about its own number that names no other patient;
//! what is not certain changes nothing, and is answered so.

mod changing;
mod lab_says;
mod named;
mod placing;

use sea_orm::DbErr;

use self::named::Named;
use super::{Applied, Desk, database};
use crate::{
    domain::{
        event::{OrderControl, OrderRequest, Orders, OrdersOf},
        ids::{OrderId, PatientId},
        matching::MatchOutcome,
        order::TestStatus,
    },
    hl7::{ack_orders::AnsweredOrder, datatypes::EntityId},
    lab::{answer::Verdict, translate::number_out},
    store::db::Tx,
};

/// Whose the orders of a PID are.
#[derive(Clone, Copy)]
enum Whose {
    /// The message does not say. An order's own number is enough then.
    Unsaid,
    /// This patient's.
    Of(PatientId),
    /// Only a person could say.
    Uncertain,
}

impl Whose {
    fn patient(self) -> Option<i64> {
        match self {
            Self::Of(patient) => Some(patient.get()),
            Self::Unsaid | Self::Uncertain => None,
        }
    }

    /// Why an order of a patient cannot be meant, if so.
    fn excludes(self, patient: i64) -> Option<&'static str> {
        match self {
            Self::Of(said) if said.get() != patient => Some("order_of_another_patient"),
            Self::Uncertain => Some("patient_not_certain"),
            Self::Unsaid | Self::Of(_) => None,
        }
    }
}

/// A request with whose it is.
#[derive(Clone, Copy)]
struct Asked<'a> {
    person: &'a OrdersOf,
    request: &'a OrderRequest,
    whose: Whose,
    /// Which PID and which order of the message, from 1.
    at: (u32, u32),
}

impl Desk<'_> {
    /// Applies what a message says of orders, and answers each. New orders come first: if one of them cannot be placed,
    /// nothing of the message is done.
    pub(super) async fn orders(&self, tx: &mut Tx, told: &Orders) -> Result<Applied, DbErr> {
        let mut applied = Applied::default();
        let asked = self.asked(tx, told, &mut applied).await?;
        let mut named = Named::load(tx, told, self.arrival.profile.id.get()).await?;
        let placed = match self.place_new(tx, &asked, &mut named, &mut applied).await? {
            Ok(placed) => placed,
            Err(fault) => {
                let orders = asked.iter().map(|asked| refusal(asked.request)).collect();
                let Applied { warnings, .. } = applied;
                return Ok(Applied { warnings, orders, ..Applied::refused(Verdict::Error, fault) });
            }
        };
        let changed = self.change_theirs(tx, &asked, &mut named, &mut applied).await?;
        for asked in &asked {
            let answer = match asked.request.control {
                Some(OrderControl::New) => placed.answer(asked),
                Some(control) if control.changes() => changed.answer(asked),
                Some(OrderControl::StatusRequest) => self.status(tx, asked, &mut named, &mut applied).await?,
                Some(OrderControl::Hold | OrderControl::Release | OrderControl::Replacement) => {
                    applied.warn("order_control_not_done");
                    refusal(asked.request)
                }
                Some(OrderControl::Previous) => {
                    applied.warn("previous_results_not_filed");
                    continue;
                }
                Some(control) => self.lab_says(tx, asked, control, &mut named, &mut applied).await?,
                None => {
                    applied.warn("order_control_not_taken");
                    refusal(asked.request)
                }
            };
            applied.orders.push(answer);
        }
        self.move_told(tx, &mut named).await?;
        Self::file(&named, &mut applied);
        Ok(applied)
    }

    /// Every request of a message.
    async fn asked<'o>(
        &self,
        tx: &Tx,
        told: &'o Orders,
        applied: &mut Applied,
    ) -> Result<Vec<Asked<'o>>, DbErr> {
        let mut all: Vec<Asked<'o>> = Vec::new();
        for (person, pid) in told.people.iter().zip(1..) {
            let whose = self.whose_orders(tx, person, applied).await?;
            for request in &person.requests {
                let at = (pid, u32::try_from(all.len() + 1).unwrap_or(u32::MAX));
                all.push(Asked { person, request, whose, at });
            }
        }
        Ok(all)
    }

    async fn whose_orders(&self, tx: &Tx, person: &OrdersOf, applied: &mut Applied) -> Result<Whose, DbErr> {
        let Some(claim) = person.claim.as_ref().filter(|_| !person.is_nobodys()) else {
            return Ok(Whose::Unsaid);
        };
        Ok(match self.owner(tx, claim).await? {
            MatchOutcome::Linked { patient_id, warnings } => {
                applied.warnings.extend(warnings.iter().map(ToString::to_string));
                Whose::Of(patient_id)
            }
            MatchOutcome::Review { .. } => Whose::Uncertain,
        })
    }

    /// Where the message belongs. One that also speaks of somebody else's orders is no part of a patient's chart.
    fn file(named: &Named, applied: &mut Applied) {
        let mut charts: Vec<i64> = named.touched.iter().map(|(_, patient)| *patient).collect();
        charts.sort_unstable();
        charts.dedup();
        applied.order = named.touched.first().map(|(order, _)| OrderId::new(*order));
        applied.patient = match charts.as_slice() {
            [one] => Some(PatientId::new(*one)),
            _ => None,
        };
    }
}

impl Applied {
    /// Adds a word, once.
    pub(super) fn warn(&mut self, word: &str) {
        if !self.warnings.iter().any(|known| known == word) {
            self.warnings.push(word.to_owned());
        }
    }
}

/// The answer to one order: its numbers as they were sent.
fn answer(control: &'static str, request: &OrderRequest, status: Option<TestStatus>) -> AnsweredOrder {
    let number = |sent: Option<&_>| sent.map_or_else(EntityId::default, number_out);
    AnsweredOrder {
        control,
        placer: number(request.placer.as_ref()),
        filler: number(request.filler.as_ref()),
        status: status.map_or("", TestStatus::to_orc_5),
    }
}

/// What was asked is not done.
fn refusal(request: &OrderRequest) -> AnsweredOrder {
    answer(request.control.map_or("UA", OrderControl::refusal), request, None)
}
