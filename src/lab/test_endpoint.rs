//! Trying out a laboratory before anything depends on it: is its address within bounds, does it take a connection, does it
//! take an order. Promise: no order of a patient has any part in it. The test has a connection, numbers and a message of its
//! own and never touches the queue or the lease, so nothing waits for it, and no answer to it finds an order. It works for an
//! endpoint that is paused or switched off, because that is when it is needed.
//!
//! The use case here writes down; the wire is `jobs::self_tests`, which may use the sender and which a request reaches by a
//! queue, [`Bench`]. It is a queue and not a call, because a request ends when its caller hangs up: a laboratory would be
//! left with half a frame, and the message without its outcome. What waits in it is bounded, and so is what runs.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use tokio::sync::{mpsc, oneshot};

use super::{
    access::{self, Resource},
    error::LabError,
    order_message::encode_trial,
    order_reply::declines_all,
    queue_message::message_row,
    record_attempt::Attempt,
    settle_message::write_answer,
    views::{EndpointView, SelfTestStep, SelfTestView},
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, retry::AttemptOutcome},
    security::random_bytes,
    store::{
        db, endpoints,
        entity::{hl7_message, lis_endpoint},
        orders,
    },
};

/// Tests that may wait for others to end.
const WAITING: usize = 8;
/// What is said of a message until something else is known: a process that dies in between leaves it so.
const UNKNOWN: &str = "a connection test whose outcome was not written down";

/// Where tests are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Bench(mpsc::Sender<Trial>);

/// A test that was asked for.
pub struct Trial {
    /// Of which endpoint, as it is now.
    pub endpoint: EndpointView,
    /// Whether an order is sent.
    pub order: bool,
    answer: oneshot::Sender<Result<Vec<SelfTestStep>, LabError>>,
}

/// A bench, and the end of it where the tests are done.
pub fn bench() -> (Bench, mpsc::Receiver<Trial>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Bench(sender), receiver)
}

impl Trial {
    /// Answers whoever asked, if they still listen.
    pub fn answer(self, steps: Result<Vec<SelfTestStep>, LabError>) {
        let _ = self.answer.send(steps);
    }
}

/// Tests an endpoint; `order`: with a test order. Errors: `Conflict` when it has no address, `Unavailable` when too many
/// tests are waiting or the service is stopping.
pub async fn test_endpoint(
    ctx: &Ctx,
    caller: &Caller,
    bench: &Bench,
    id: i64,
    order: bool,
) -> Result<SelfTestView, LabError> {
    access::permit(ctx, caller, Action::WriteEndpoint, "lis_endpoint").await?;
    let row = find(ctx, id).await?;
    if row.direction == "inbound" || row.host.is_none() || row.port.is_none() {
        return Err(LabError::Conflict("Nothing is sent to this endpoint: there is nothing to test".into()));
    }
    let tx = db::write(&ctx.db, "test_endpoint").await?;
    access::wrote(ctx, &tx, caller, Action::WriteEndpoint, Resource::one("lis_endpoint", id, &[])).await?;
    tx.commit().await?;
    let (answer, answered) = oneshot::channel();
    let trial = Trial { endpoint: row.into(), order, answer };
    bench.0.try_send(trial).map_err(|_| LabError::Unavailable)?;
    let steps = answered.await.map_err(|_| LabError::Unavailable)??;
    Ok(SelfTestView { ok: steps.iter().all(|step| step.ok), steps })
}

async fn find(ctx: &Ctx, id: i64) -> Result<lis_endpoint::Model, LabError> {
    endpoints::find(ctx.db.reader(), id).await?.ok_or(LabError::NotFound("LIS endpoint"))
}

/// The message of a test, ready to be sent.
pub struct TestMessage {
    /// `hl7_messages.id`.
    id: i64,
    /// MSH-10.
    pub control_id: String,
    /// As it goes out.
    pub bytes: Vec<u8>,
}

/// Makes the test order of an endpoint and writes it down: a message is in the log before it is on the wire.
pub async fn write_test_message(ctx: &Ctx, endpoint: i64) -> Result<TestMessage, LabError> {
    let row = find(ctx, endpoint).await?;
    let catalogue = orders::whole_catalogue(ctx.db.reader()).await?;
    let random = random_bytes::<6>()?.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte));
    let encoded = encode_trial(&ctx.config, &row, &catalogue, (ctx.clock.now(), random));
    let (control_id, bytes) = (encoded.envelope.control_id.clone(), encoded.bytes.clone());
    let message = hl7_message::ActiveModel {
        status: Set("failed".into()),
        error_detail: Set(Some(UNKNOWN.into())),
        ..message_row(ctx, row.id, encoded)?
    };
    let tx = db::write(&ctx.db, "write_test_message").await?;
    let message = message.insert(&*tx).await?;
    tx.commit().await?;
    Ok(TestMessage { id: message.id, control_id, bytes })
}

/// Writes down what came of it. Answers whether the laboratory would have taken an order, and why not, in words.
pub async fn settle_test_message(
    ctx: &Ctx,
    message: &TestMessage,
    attempt: &Attempt,
) -> Result<Result<String, String>, LabError> {
    let verdict = verdict(attempt);
    let now = ctx.clock.now();
    let mut change = hl7_message::ActiveModel {
        id: Set(message.id),
        status: Set(if verdict.is_ok() { "sent" } else { "failed" }.into()),
        error_detail: Set(verdict.clone().err()),
        processed_at: Set(Some(now)),
        ..Default::default()
    };
    if attempt.reply.is_some() {
        write_answer(&mut change, attempt, now);
        change.ack_latency_us = Set(i64::try_from(attempt.latency.as_micros()).ok());
    }
    let tx = db::write(&ctx.db, "settle_test_message").await?;
    change.update(&*tx).await?;
    tx.commit().await?;
    Ok(verdict)
}

/// A try is judged as an order's would be. There is no second one: whoever tests wants to see the first.
fn verdict(attempt: &Attempt) -> Result<String, String> {
    let detail = attempt.detail.clone();
    let taken = matches!(&attempt.outcome, AttemptOutcome::Answered { code, .. } if code.is_positive());
    let declined = attempt.reply.as_ref().is_some_and(|(reply, _)| declines_all(reply));
    match (taken, declined) {
        (true, false) => Ok(detail),
        (true, true) => Err(format!("{detail}, but its ORC declines the order")),
        (false, _) => Err(detail),
    }
}

/// How one step went.
pub fn step(name: &'static str, outcome: Result<String, String>, took: Duration) -> SelfTestStep {
    let ok = outcome.is_ok();
    let detail = outcome.unwrap_or_else(|why| why);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    SelfTestStep { step: name, ok, detail, duration_ms }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::ack::Reply;

    fn answered(segments: &str) -> Attempt {
        let text = format!("MSH|^~\\&|LIS|LAB|PMS|H|2024||ORR^O02|9|T|2.5.1\r{segments}");
        Attempt::answered(Reply::parse(text.as_bytes()).unwrap(), Vec::new(), Duration::ZERO)
    }

    #[test]
    fn an_answer_is_judged_as_an_orders_would_be() {
        for (segments, ok, detail) in [
            ("MSA|AA|1\r", true, "answered AA"),
            ("MSA|CA|1\r", true, "answered CA"),
            ("MSA|AA|1\rORC|OK|T1-1\r", true, "answered AA"),
            ("MSA|AA|1\rORC|UA|T1-1\r", false, "answered AA, but its ORC declines the order"),
            ("MSA|AE|1\rERR|||101^x^HL70357|E\r", false, "answered AE, error 101"),
            ("MSA|AR|1\rERR|||Roe is unknown|E\r", false, "answered AR"),
            ("MSA|CE|1\r", false, "answered CE"),
        ] {
            let told = step("order", verdict(&answered(segments)), Duration::from_millis(7));
            assert_eq!((told.ok, told.detail.as_str(), told.duration_ms), (ok, detail, 7), "{segments}");
        }
        let silence = Attempt::failed(AttemptOutcome::TimedOut, "no ACK in time");
        assert_eq!(verdict(&silence), Err("no ACK in time".to_owned()));
    }
}
