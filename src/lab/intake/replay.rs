//! Running a stored message again by the rules of today. Promise: what was filed well does not move; what was refused, or
//! waits for a person, is taken now if nothing stands in its way any more, under the row it came in; once it is, running
//! it again does nothing.
//!
//! | stood as | what is done |
//! |---|---|
//! | `refused`, `quarantined`, `ignored` | read and decided as if it came now; if it is taken, its row gets the new outcome and the new answer, which is what a resend gets from then on |
//! | `unmatched` | each part that waits is filed where the rules name its patient by now; the rest goes on waiting |
//! | `stored`, `rejected` | results: judged anew, tied to orders that are known by now, and read anew by today's profile ([`reread`]); an event is never applied twice |

mod reread;

use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set};
use serde_json::{Value, json};

use super::{
    Ack,
    event::{self, Desk},
    load,
    rows::{self, Filed},
    save::{self, Filing},
    turned_away_by,
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        event::Event,
        ids::PatientId,
        intake::{Decision, Rules, certain_owner, decide_for},
        report::ReportedMessage,
    },
    hl7::{ErrorCode, Fault},
    lab::{
        answer::Verdict,
        arrival::{Arrival, Content},
        error::LabError,
        resolve_review::{self, Held, close_by_rule, link_by_rule},
        rules,
    },
    store::{
        db::Tx,
        entity::{hl7_message, review_item},
        intake::{Rows, stored_messages},
        reviews,
    },
};

/// What running a message again came to, beside the rows.
#[derive(Default)]
pub(crate) struct Replayed {
    /// Why it is still not taken: codes and places, never content.
    pub(crate) refusal: Option<String>,
    /// Words for what was left as it is.
    pub(crate) notes: Vec<&'static str>,
}

impl Replayed {
    fn refused(faults: &[Fault]) -> Self {
        Self { refusal: rows::error_detail(faults), notes: Vec::new() }
    }

    fn noted(note: &'static str) -> Self {
        Self { refusal: None, notes: vec![note] }
    }
}

/// Everything at hand while a message is run again.
struct Rerun<'a> {
    ctx: &'a Ctx,
    caller: &'a Caller,
    rules: Rules,
    arrival: &'a Arrival,
    /// Its row, held until the end of the transaction.
    message: &'a hl7_message::Model,
}

/// Runs a message again, in the caller's transaction. Errors: `Conflict` when the same bytes came again meanwhile and were
/// taken under another row.
pub(crate) async fn replay(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    arrival: &Arrival,
    message: &hl7_message::Model,
) -> Result<Replayed, LabError> {
    let rules = rules::load(ctx, &**tx).await?;
    let rerun = Rerun { ctx, caller, rules, arrival, message };
    match message.status.as_str() {
        "refused" | "quarantined" | "ignored" => rerun.take(tx).await,
        "unmatched" => rerun.take_what_waits(tx).await,
        "stored" | "rejected" => match &arrival.content {
            Content::Results(content) => rerun.reread(tx, content).await,
            Content::Refused(_, faults) => Ok(Replayed::refused(faults)),
            Content::Event(_) => Ok(Replayed::noted("applied_already")),
            Content::Ignored | Content::StrayAck => Ok(Replayed::noted("nothing_to_do")),
        },
        _ => Ok(Replayed::noted("nothing_to_do")),
    }
}

impl Rerun<'_> {
    /// Takes a message that was not taken.
    async fn take(&self, tx: &mut Tx) -> Result<Replayed, LabError> {
        self.came_once(tx).await?;
        match &self.arrival.content {
            Content::Refused(_, faults) => Ok(Replayed::refused(faults)),
            Content::StrayAck => Ok(Replayed::noted("nothing_to_do")),
            Content::Ignored if self.message.status == "ignored" => Ok(Replayed::noted("still_ignored")),
            Content::Ignored => {
                self.write_outcome(tx, &Decision::default()).await?;
                Ok(Replayed::default())
            }
            Content::Results(content) => self.file(tx, content).await,
            Content::Event(event) => self.apply(tx, event).await,
        }
    }

    /// Under the endpoint that its sender is today the same bytes may have come again, and been taken.
    async fn came_once(&self, tx: &Tx) -> Result<(), LabError> {
        let same_id = stored_messages(&**tx, vec![self.message.message_control_id.clone()]).await?;
        let endpoint = self.arrival.profile.id.get();
        let other = same_id.iter().find(|row| {
            row.id != self.message.id
                && row.lis_endpoint_id == endpoint
                && row.message_hash == self.message.message_hash
        });
        match other {
            Some(row) => Err(LabError::Conflict(format!(
                "The same message came again and is message {}; that one can be replayed",
                row.id
            ))),
            None => Ok(()),
        }
    }

    async fn file(&self, tx: &mut Tx, content: &ReportedMessage) -> Result<Replayed, LabError> {
        let mut known = load::late(self.ctx, tx, content, self.message.id).await?;
        if turned_away_by(&self.arrival.profile, content, &known, &self.rules) {
            return Ok(Replayed::refused(&[Fault::new(ErrorCode::UnknownKey, "the patient is not certain")]));
        }
        let mut ids = load::ids_of(tx, &content.reports().collect::<Vec<_>>()).await?;
        let decision = decide_for(content, &[], &mut known, &self.rules, &mut ids);
        let mut rows = Rows::default();
        save::collect_filed(self.ctx, tx, &self.around(content), &decision, &mut rows);
        save::write(self.ctx, tx, rows, &[self.filing(content, &decision)]).await?;
        self.write_outcome(tx, &decision).await?;
        Ok(Replayed::default())
    }

    fn around<'c>(&'c self, content: &'c ReportedMessage) -> rows::Surroundings<'c> {
        rows::Surroundings {
            message: content,
            message_id: self.message.id,
            facility: self.arrival.header.sending_facility.key(),
            // When it came into the chart: who asks for what is new since an hour ago must find it.
            received_at: self.ctx.clock.now(),
        }
    }

    fn filing<'c>(&'c self, content: &'c ReportedMessage, decision: &'c Decision) -> Filing<'c> {
        Filing { content, message: self.message.id, decision, actor: &self.caller.username }
    }

    async fn apply(&self, tx: &mut Tx, event: &Event) -> Result<Replayed, LabError> {
        let waits = self.message.status == "unmatched";
        let desk = Desk {
            ctx: self.ctx,
            rules: &self.rules,
            arrival: self.arrival,
            message: self.message.id,
            waits,
        };
        let applied = desk.apply(tx, event).await?;
        if let Some((_, fault)) = &applied.refusal {
            return Ok(Replayed::refused(std::slice::from_ref(fault)));
        }
        if applied.in_review && waits {
            return Ok(Replayed::noted("still_waits"));
        }
        if waits {
            for item in self.open_items(tx).await? {
                let patient = applied.patient.map(PatientId::get);
                close_by_rule(self.ctx, tx, self.caller, item.id, patient).await?;
            }
        }
        let (code, frames) = self.arrival.answer_orders(self.ctx, Verdict::Accept, &[], &applied.orders);
        let ack = Ack { code, frames, faults: Vec::new() };
        self.write_row(tx, &event::filed(self.arrival, &applied, false), ack).await?;
        Ok(Replayed::default())
    }

    /// Files the parts that wait and whose patient is certain by now.
    async fn take_what_waits(&self, tx: &mut Tx) -> Result<Replayed, LabError> {
        if let Content::Event(event) = &self.arrival.content {
            return self.apply(tx, event).await;
        }
        let mut replayed = Replayed::default();
        for item in self.open_items(tx).await? {
            let held = resolve_review::read_again(self.ctx, &**tx, &item, self.message).await;
            let held = match held {
                Ok(Held::Results(held)) => held,
                Err(LabError::Conflict(_)) => {
                    replayed.notes.push("reads_otherwise");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let known = load::late(self.ctx, tx, &held.message, self.message.id).await?;
            let mut owners =
                held.blocks.iter().map(|at| certain_owner(&held.message.blocks[*at], &known, &self.rules));
            let first = owners.next().flatten();
            match first.filter(|first| owners.all(|owner| owner == Some(*first))) {
                Some(patient) => link_by_rule(self.ctx, tx, self.caller, item.id, patient.get()).await?,
                None => replayed.notes.push("still_waits"),
            }
        }
        Ok(replayed)
    }

    async fn open_items(&self, tx: &Tx) -> Result<Vec<review_item::Model>, LabError> {
        let mut items = reviews::items_of(tx, self.message.id).await?;
        items.retain(|item| item.status == "open");
        items.sort_by_key(|item| item.id);
        Ok(items)
    }

    /// The message's row, as if it had come now and been accepted.
    async fn write_outcome(&self, tx: &Tx, decision: &Decision) -> Result<(), LabError> {
        let (code, frames) = self.arrival.answer(self.ctx, Verdict::Accept, &[]);
        let ack = Ack { code, frames, faults: Vec::new() };
        let filed = Filed::of(self.arrival, decision, false, &ack);
        self.write_row(tx, &filed, ack).await
    }

    /// What the row says of the message itself, of when it came and from where, stays.
    async fn write_row(&self, tx: &Tx, filed: &Filed<'_>, ack: Ack) -> Result<(), LabError> {
        let now = self.ctx.clock.now();
        let mut row = rows::message(self.arrival, Some(self.message.id), filed, &ack, now);
        row.message_uid = NotSet;
        row.direction = NotSet;
        row.raw_message = NotSet;
        row.message_hash = NotSet;
        row.message_control_id = NotSet;
        row.size_bytes = NotSet;
        row.source_ip = NotSet;
        row.tls_version = NotSet;
        row.peer_certificate = NotSet;
        row.original_message_id = NotSet;
        row.duplicates_seen = NotSet;
        row.received_at = NotSet;
        row.ack_latency_us = NotSet;
        row.warnings = Set(with_word(&row.warnings.take().unwrap_or_default(), "replayed"));
        row.update(&**tx).await?;
        Ok(())
    }
}

fn with_word(warnings: &Value, word: &str) -> Value {
    let mut all = warnings.as_array().cloned().unwrap_or_default();
    all.push(json!({ "code": word }));
    Value::Array(all)
}
