//! Functions that are killed between any two steps.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

/// On which side of a call its function is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The call is not carried out.
    Before,
    /// It is carried out, and nobody hears of it.
    After,
}

/// A call that never answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Hang {
    armed: Arc<Mutex<Option<(usize, When)>>>,
    struck: Arc<Notify>,
}

impl Hang {
    /// When this call hangs, if it does: every call asks once, before anything else.
    pub(super) fn of_this_call(&self) -> Option<When> {
        let mut armed = self.armed.lock().expect("no panic");
        match armed.take() {
            Some((0, when)) => Some(when),
            Some((calls, when)) => {
                *armed = Some((calls - 1, when));
                None
            }
            None => None,
        }
    }

    /// Never returns where `hangs` is `at`.
    pub(super) async fn strike(&self, hangs: Option<When>, at: When) {
        if hangs == Some(at) {
            self.struck.notify_one();
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn kill<T>(&self, call: usize, when: When, work: impl Future<Output = T>) -> Option<T> {
        *self.armed.lock().expect("no panic") = Some((call, when));
        let outcome = tokio::select! {
            outcome = work => Some(outcome),
            () = self.struck.notified() => None,
        };
        *self.armed.lock().expect("no panic") = None;
        outcome
    }
}
