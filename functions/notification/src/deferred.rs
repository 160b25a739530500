//! Tells what was held back in quiet hours, once they are over: `notification-deferred`, every minute.
//!
//! A message is claimed as in [`worker`](crate::worker) before it is sent, so that two runs at once send it once. What fails is
//! tried again by later runs, each after twice the time, and given up after [`ATTEMPTS`]. What the user no longer wants
//! when its time comes is dropped.

use jiff::SignedDuration;
use serde::Serialize;
use shared::problem::Chain;
use shared::trace;
use uuid::Uuid;

use crate::model::{Channel, EventKind, Status};
use crate::sender::Sender;
use crate::store::Stored;
use crate::worker::{Error, Worker};

/// How often a message is tried: for about eight hours.
pub const ATTEMPTS: u32 = 9;

/// A claim older than this is of a run that died: no run lives that long.
const CLAIM: SignedDuration = SignedDuration::from_mins(15);

/// How many are read at once.
const PAGE: i32 = 25;

/// What a run came to, in notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Told, or not to be told any more.
    pub done: u32,
    /// To be looked at again later.
    pub later: u32,
    /// Something is wrong; it was logged.
    pub failed: u32,
}

/// Some notifications could not be told.
#[derive(Debug, thiserror::Error)]
#[error("{failed} notifications could not be told, see the log: {counts:?}", failed = counts.failed)]
pub struct Incomplete {
    /// What the run came to.
    pub counts: Counts,
}

/// Tells everything that is due. One notification that fails stops no other; the run then ends as [`Incomplete`], so that the
/// alarm on the function's errors sees it.
pub async fn run<S: Sender>(worker: &Worker<S>) -> Result<Counts, shared::run::Failure> {
    let now = worker.clock.now();
    let mut counts = Counts::default();
    let mut start = None;
    loop {
        let page = worker.notifications.due(now, PAGE, start).await?;
        for (user_id, id) in page.items {
            match trace::follow(None, tell(worker, user_id, id)).await {
                Ok(true) => counts.done += 1,
                Ok(false) => counts.later += 1,
                Err(error) => {
                    tracing::error!(notification_id = %id, error = %Chain(&error), "a held notification cannot be told");
                    counts.failed += 1;
                }
            }
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    tracing::info!(?counts, "told what was held");
    if counts.failed == 0 { Ok(counts) } else { Err(Incomplete { counts }.into()) }
}

/// Tells what is left of one notification; whether nothing is any more.
async fn tell<S: Sender>(worker: &Worker<S>, user_id: Uuid, id: Uuid) -> Result<bool, Error> {
    let store = &worker.notifications;
    let Some(stored) = store.notification(user_id, id).await? else { return Ok(true) };
    // Another run told it, and the index does not know yet.
    let Some(held) = &stored.held else { return Ok(true) };
    let event = held.event()?;
    trace::is_about_order(event.order.trace);
    let kind = stored.notification.event;
    let profile = worker.users.profile(user_id).await?;
    let preferences = store.preferences(user_id).await?;
    if let Some(end) = preferences.quiet_hours.as_ref().and_then(|hours| hours.end(worker.clock.now())) {
        // The user has moved them since.
        store.postpone(&stored, end).await?;
        return Ok(false);
    }
    let Some(profile) = profile else {
        store.release(&stored).await?;
        return Ok(true);
    };
    let suppressed = store.is_suppressed(profile.email.as_str()).await?;
    let message = worker.compose(kind, &event, &profile).await?;
    let mut failure = None;
    for channel in Channel::ALL {
        let Some(status @ (Status::Deferred | Status::Failed)) =
            stored.delivery(channel).map(|delivery| delivery.status)
        else {
            continue;
        };
        let wanted = (&preferences, suppressed);
        let sent = worker.send_if_wanted(&stored, (channel, status), wanted, &profile, &message).await;
        failure = failure.or(sent.err());
    }
    let after = store.notification(user_id, id).await?;
    let done = match after {
        Some(after) => close(worker, &after, kind).await?,
        None => true,
    };
    tracing::info!(event_id = stored.event_id, done, "a held notification was told");
    failure.map_or(Ok(done), Err)
}

/// Forgets what was held when nothing of it is left to do, or has it looked at again; whether it was forgotten.
async fn close<S: Sender>(worker: &Worker<S>, stored: &Stored, kind: EventKind) -> Result<bool, Error> {
    let (store, now) = (&worker.notifications, worker.clock.now());
    let mut again: Option<SignedDuration> = None;
    for channel in Channel::ALL {
        let Some(delivery) = stored.delivery(channel) else { continue };
        let wait = match delivery.status {
            Status::Failed if delivery.attempts >= ATTEMPTS => {
                tracing::error!(event_id = stored.event_id, ?kind, channel = channel.as_str(), "given up");
                store.end_unsent(stored, channel, Status::Failed, Status::Rejected).await?;
                continue;
            }
            Status::Failed => SignedDuration::from_mins(1 << delivery.attempts.min(ATTEMPTS)),
            Status::Deferred => SignedDuration::from_mins(1),
            // Another run is at it, and may yet fail.
            Status::Sending if delivery.claimed_at.is_some_and(|at| at + CLAIM > now) => {
                SignedDuration::from_mins(1)
            }
            _ => continue,
        };
        again = Some(again.map_or(wait, |other| other.min(wait)));
    }
    match again {
        None => {
            store.release(stored).await?;
            Ok(true)
        }
        Some(wait) => {
            store.postpone(stored, now + wait).await?;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests;
