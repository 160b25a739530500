//! Security events: one structured log line each, with stable names and no secret, for whoever watches over the service.
//!
//! A line has the message `security event` and the fields `event`, and where they apply `user_id`, `session_id`,
//! `client_id`, `client_address` and `reason`; the README lists them. Never a user name that was typed (people type
//! passwords there), a password, an address of mail, a code or a token (ASVS 5 §16.2.5, §16.3).

use std::net::IpAddr;

use shared::metrics;
use uuid::Uuid;

/// The events with their names in the log, which alarms and queries depend on.
macro_rules! events {
    ($($event:ident = $name:literal,)*) => {
        /// What happened; the README's section "Security events" says when each is logged.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Event {
            $($event,)*
        }

        impl Event {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$event,)*];

            /// The name in the log.
            fn name(self) -> &'static str {
                match self {
                    $(Self::$event => $name,)*
                }
            }
        }
    };
}

events! {
    Registered = "registered",
    LoginSucceeded = "login_succeeded",
    LoginFailed = "login_failed",
    Throttled = "throttled",
    Refreshed = "refreshed",
    RefreshRepeated = "refresh_repeated",
    RefreshReused = "refresh_reused",
    RefreshRefused = "refresh_refused",
    SessionRevoked = "session_revoked",
    AllSessionsRevoked = "all_sessions_revoked",
    PasswordChanged = "password_changed",
    PasswordResetRequested = "password_reset_requested",
    PasswordReset = "password_reset",
    PasswordRehashed = "password_rehashed",
    EmailVerificationRequested = "email_verification_requested",
    EmailVerified = "email_verified",
    FactorEnrolled = "factor_enrolled",
    FactorEnabled = "factor_enabled",
    FactorDisabled = "factor_disabled",
    FactorRefused = "factor_refused",
    RecoveryCodeUsed = "recovery_code_used",
    RecoveryCodesReplaced = "recovery_codes_replaced",
    KeyRotated = "key_rotated",
    RoleGranted = "role_granted",
    RoleRevoked = "role_revoked",
    ClientCreated = "client_created",
    ClientDeleted = "client_deleted",
    ClientRefused = "client_refused",
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
}

impl<'a> Entry<'a> {
    /// The session that it happened to.
    pub(crate) fn session(self, session_id: Uuid) -> Self {
        Self { session_id: Some(session_id), ..self }
    }

    /// The OAuth client that did it: one that exists, never an id that was merely typed.
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

    /// Writes the line, and counts logins.
    pub(crate) fn log(self) {
        match self.event {
            Event::LoginSucceeded => metrics::login(),
            Event::LoginFailed => metrics::login_failure(),
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::testing::Counts;

    use super::*;
    use crate::testing::log;

    /// Renaming an event silences whoever waits for it.
    #[test]
    fn the_names_are_those_that_the_readme_promises() {
        let readme = include_str!("../README.md");
        let (_, section) = readme.split_once("## Security events\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let promised: Vec<_> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            .collect();
        let names: Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names, promised);
    }

    #[test]
    fn an_event_is_one_json_line_with_the_fields_that_apply() {
        log::start();
        let id = Uuid::from_u128(1);
        let counts = Counts::default();
        let counting = counts.start();
        Event::LoginFailed.entry().log();
        drop(counting);
        assert_eq!((counts.of("LoginFailures"), counts.of("Logins")), (1, 0));
        let address = Some("2001:db8::1".parse().unwrap());
        let entry = Event::RefreshReused.of(id).session(Uuid::from_u128(2)).client("shop");
        entry.from(address).because("used_token").log();

        let lines = log::lines();
        let fields = |line: &Value| {
            let mut fields = line.as_object().unwrap().clone();
            fields.remove("timestamp").unwrap();
            Value::Object(fields)
        };
        let [short, full] = <[Value; 2]>::try_from(lines).unwrap();
        assert_eq!(
            fields(&short),
            json!({"level": "INFO", "message": "security event", "event": "login_failed"})
        );
        assert_eq!(
            fields(&full),
            json!({
                "level": "INFO",
                "message": "security event",
                "event": "refresh_reused",
                "user_id": id.to_string(),
                "session_id": Uuid::from_u128(2).to_string(),
                "client_id": "shop",
                "client_address": "2001:db8::1",
                "reason": "used_token",
            })
        );
    }
}
