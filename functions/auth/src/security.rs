//! Security events: one structured log line each, with stable names and no secret, for whoever watches over the service.
//!
//! A line has the message `security event` and the fields `event`, and where they apply `user_id`, `session_id`,
//! `client_id`, `client_address` and `reason`. Never a user name that was typed (people type passwords there), a password,
//! an address of mail, a code or a token.

use std::net::IpAddr;

use tracing::field::display;
use uuid::Uuid;

/// What happened; the name in the log is the same in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Registered,
    LoginSucceeded,
    LoginFailed,
    Throttled,
    Refreshed,
    /// An honest retry: the rotation of before was answered again.
    RefreshRepeated,
    /// A used refresh token came again: the session ended.
    RefreshReused,
    RefreshRefused,
    SessionRevoked,
    PasswordChanged,
    PasswordResetRequested,
    PasswordReset,
    PasswordRehashed,
    EmailVerificationRequested,
    EmailVerified,
    FactorEnrolled,
    FactorEnabled,
    FactorDisabled,
    RecoveryCodeUsed,
    RecoveryCodesReplaced,
    KeyRotated,
    RoleGranted,
    RoleRevoked,
    ClientCreated,
    ClientDeleted,
    ClientRefused,
}

/// An event and whom it is about.
#[derive(Debug, Clone, Copy)]
#[must_use = "it is written by `log`"]
pub(crate) struct Entry<'a> {
    event: Event,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    client_id: Option<&'a str>,
    client_address: Option<IpAddr>,
    reason: Option<&'static str>,
}

impl Event {
    /// The event, about nobody yet.
    pub(crate) fn entry<'a>(self) -> Entry<'a> {
        Entry {
            event: self,
            user_id: None,
            session_id: None,
            client_id: None,
            client_address: None,
            reason: None,
        }
    }

    /// The event, about a user.
    pub(crate) fn of<'a>(self, user_id: Uuid) -> Entry<'a> {
        Entry { user_id: Some(user_id), ..self.entry() }
    }

    fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

impl<'a> Entry<'a> {
    /// The session that it happened to.
    pub(crate) fn session(self, session_id: Uuid) -> Self {
        Self { session_id: Some(session_id), ..self }
    }

    /// The OAuth client that did it.
    pub(crate) fn client(self, client_id: &'a str) -> Self {
        Self { client_id: Some(client_id), ..self }
    }

    /// Where the request came from.
    pub(crate) fn from(self, address: Option<IpAddr>) -> Self {
        Self { client_address: address, ..self }
    }

    /// Why, in snake case.
    pub(crate) fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// Writes the line.
    pub(crate) fn log(self) {
        tracing::info!(
            event = self.event.name(),
            user_id = self.user_id.map(display),
            session_id = self.session_id.map(display),
            client_id = self.client_id,
            client_address = self.client_address.map(display),
            reason = self.reason,
            "security event"
        );
    }
}
