//! Logins from devices that an account was used from, and from others: what its user hears of them.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::testing::{Answer, When, call};
use user::model::Username;

use crate::model::Account;
use crate::outbox::{Event, Recorded, VERSION};
use crate::testing::mailbox::Mailbox;
use crate::testing::{App, PASSWORD};

const ADDRESS: &str = "someone@example.com";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:99.0) Gecko/20100101 Firefox/99.0";
const PHONE: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Firefox/131.0";

async fn log_in(app: &App, user_agent: &str) -> Answer {
    let body = json!({"username": "alice", "password": PASSWORD});
    let call = call(Method::POST, "/login").json(&body).header("user-agent", user_agent);
    call.send(&app.router).await
}

/// `alice`, who logged in with [`FIREFOX`] and nothing else.
async fn at_home() -> App {
    let app = App::new().await;
    app.register("alice").await;
    let _first = log_in(&app, FIREFOX).await.expect(StatusCode::OK);
    app
}

async fn alice(app: &App) -> Account {
    let name: Username = "alice".to_owned().try_into().unwrap();
    app.accounts.account(&name).await.unwrap().unwrap()
}

/// The new devices that there are events of.
async fn told(app: &App) -> Vec<String> {
    let mut events: Vec<Recorded> = app.database.items("AuthOutboxTable").await;
    events.sort_by_key(|event| event.id);
    let devices = events.into_iter().filter_map(|recorded| match recorded.event {
        Event::NewSignIn { device, .. } => Some(device),
        _ => None,
    });
    devices.collect()
}

#[tokio::test]
async fn a_first_login_is_silent_and_a_second_device_is_told_of_once() {
    let app = at_home().await;
    assert_eq!(told(&app).await, [] as [&str; 0]);
    for user_agent in [PHONE, PHONE, FIREFOX] {
        let _in = log_in(&app, user_agent).await.expect(StatusCode::OK);
    }
    assert_eq!(told(&app).await, [PHONE]);
    assert_eq!(alice(&app).await.devices.len(), 2);
}

#[tokio::test]
async fn a_mail_says_when_and_from_what_and_goes_to_a_verified_address_only() {
    let app = at_home().await;
    let mailbox = Mailbox::of(&app);
    let _in = log_in(&app, PHONE).await.expect(StatusCode::OK);
    mailbox.deliver(&app).await;
    assert_eq!(mailbox.sent().len(), 1, "to verify the address, which may be a stranger's");

    mailbox.verify(&app, ADDRESS).await;
    let mailbox = Mailbox::of(&app);
    // What comes again comes to an address that is verified by now.
    for _ in 0..2 {
        mailbox.deliver(&app).await;
    }
    assert_eq!(mailbox.sent().len(), 1);
    let (to, mail) = mailbox.mails().remove(0);
    assert_eq!((to.as_str(), mail.subject.as_str()), (ADDRESS, "New sign-in to your account"));
    for part in ["\"alice\" on 2026-01-01 at 00:00 UTC", &format!("\n{PHONE}\n"), "/password/forgot"] {
        assert!(mail.text.contains(part), "{part}: {}", mail.text);
    }
}

/// From 99 to 100 the name is longer, which moves where it is cut off.
#[tokio::test]
async fn an_update_of_a_browser_is_no_new_device_however_long_its_name_is() {
    let app = App::new().await;
    app.register("alice").await;
    let long = format!("{FIREFOX} {}", "with a tail ".repeat(30));
    for user_agent in [&long, &long.replace("99.0", "100.0.1")] {
        let _in = log_in(&app, user_agent).await.expect(StatusCode::OK);
    }
    assert_eq!((told(&app).await.len(), alice(&app).await.devices.len()), (0, 1));
    let _another = log_in(&app, &long.replace("Linux", "Windows")).await.expect(StatusCode::OK);
    assert_eq!(told(&app).await.len(), 1);
}

#[tokio::test]
async fn all_that_do_not_say_what_they_are_are_one_device() {
    let app = at_home().await;
    app.log_in("alice").await;
    let _blank = log_in(&app, " ").await.expect(StatusCode::OK);
    assert_eq!(told(&app).await, ["(nothing)"]);
    assert_eq!(alice(&app).await.devices.len(), 2);
}

#[tokio::test]
async fn a_demo_account_is_used_from_everywhere_and_keeps_no_devices() {
    let app = App::with_demo_login().await;
    app.seed_demo("alice", &[]).await;
    for user_agent in [FIREFOX, PHONE] {
        let call = call(Method::POST, "/login").json(&json!({"username": "alice"}));
        let _in = call.header("user-agent", user_agent).send(&app.router).await.expect(StatusCode::OK);
    }
    assert_eq!((told(&app).await.len(), alice(&app).await.devices.len()), (0, 0));
}

#[tokio::test]
async fn of_twenty_one_devices_the_one_known_for_longest_is_forgotten() {
    let app = App::new().await;
    app.register("alice").await;
    let names: Vec<_> = ('a'..='u').map(|letter| format!("browser {letter}")).collect();
    for name in &names {
        let _in = log_in(&app, name).await.expect(StatusCode::OK);
    }
    assert_eq!((told(&app).await.len(), alice(&app).await.devices.len()), (20, 20));
    let _known = log_in(&app, &names[1]).await.expect(StatusCode::OK);
    assert_eq!(told(&app).await.len(), 20);
    let _forgotten = log_in(&app, &names[0]).await.expect(StatusCode::OK);
    assert_eq!(told(&app).await.last(), Some(&names[0]));
}

#[tokio::test]
async fn what_a_device_calls_itself_is_one_short_line_of_text_in_the_mail() {
    let app = at_home().await;
    let mailbox = Mailbox::of(&app);
    mailbox.verify(&app, ADDRESS).await;
    let hostile =
        format!("<img src=x onerror='a()'>\tBcc: x@example.com \u{202e}\u{2028}é{}", "&".repeat(500));
    let _in = log_in(&app, &hostile).await.expect(StatusCode::OK);
    mailbox.deliver(&app).await;
    let (_, mail) = mailbox.mails().pop().unwrap();
    assert_eq!(mail.subject, "New sign-in to your account");
    let line = mail.text.lines().find(|line| line.starts_with("<img")).unwrap();
    assert!(line.is_ascii() && line.len() <= 100 && !line.contains('\t'), "{line}");
    assert!(line.starts_with("<img src=x onerror='a()'>Bcc: x@example.com &&"), "{line}");
    assert!(!mail.html.contains("<img"), "{}", mail.html);
    assert!(mail.html.contains("<pre>&lt;img src=x onerror=&#39;a()&#39;&gt;Bcc"), "{}", mail.html);
}

#[tokio::test]
async fn logins_at_once_from_one_new_device_all_open_and_are_told_of_once() {
    let app = at_home().await;
    let one = || log_in(&app, PHONE);
    let answers: [_; 4] = tokio::join!(one(), one(), one(), one()).into();
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!((told(&app).await, alice(&app).await.devices.len()), (vec![PHONE.to_owned()], 2));
}

#[tokio::test]
async fn logins_at_once_from_two_new_devices_are_both_told_of() {
    let app = at_home().await;
    let answers = tokio::join!(log_in(&app, PHONE), log_in(&app, "curl/8.5.0"));
    assert_eq!((answers.0.status, answers.1.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!((told(&app).await.len(), alice(&app).await.devices.len()), (2, 3));
}

#[tokio::test]
async fn a_login_from_a_new_device_makes_the_same_calls_as_any_other() {
    let app = at_home().await;
    let mut seen = Vec::new();
    for user_agent in [FIREFOX, FIREFOX] {
        app.database.take_calls();
        let _in = log_in(&app, user_agent).await.expect(StatusCode::OK);
        seen.push(app.database.take_calls());
    }
    assert!(seen.iter().all(|calls| *calls == seen[0]), "{seen:#?}");
    app.database.take_calls();
    let _in = log_in(&app, PHONE).await.expect(StatusCode::OK);
    assert_eq!(app.database.take_calls().len(), seen[0].len(), "its event is in the session's transaction");
}

/// Wherever the function dies, a session of the new device, its fingerprint and its event are all there or none is.
#[tokio::test]
async fn a_login_that_dies_leaves_no_session_without_its_event() {
    for when in [When::Before, When::After] {
        let mut killed_with_session = 0;
        for call in 0.. {
            let app = at_home().await;
            let whole = app.database.kill_at(call, when, log_in(&app, PHONE)).await.is_some();
            let account = alice(&app).await;
            let sessions = app.accounts.sessions(account.user_id).await.unwrap();
            let opened = sessions.iter().any(|session| session.device.as_deref() == Some(PHONE));
            let events = told(&app).await.len();
            assert_eq!(
                (events, account.devices.len()),
                (usize::from(opened), 1 + usize::from(opened)),
                "{call}"
            );
            if whole {
                assert!(opened && call > 2, "{call}");
                break;
            }
            killed_with_session += usize::from(opened);
            let _again = log_in(&app, PHONE).await.expect(StatusCode::OK);
            assert_eq!(
                told(&app).await,
                [PHONE],
                "{call}: the next one makes good for it, and no second event"
            );
        }
        assert!(matches!(when, When::Before) || killed_with_session > 0);
    }
}

#[tokio::test]
async fn a_registration_is_an_event_beside_the_one_for_its_mail() {
    let app = App::new().await;
    app.register("alice").await;
    let user_id = app.user_id("alice").await;
    let mut events: Vec<Recorded> = app.database.items("AuthOutboxTable").await;
    events.sort_by_key(|event| event.id);
    assert!(events.iter().all(|event| event.version == VERSION && event.at == app.clock.now()));
    let events: Vec<_> = events.into_iter().map(|recorded| recorded.event).collect();
    assert_eq!(events, [Event::UserRegistered { user_id }, Event::EmailVerificationRequested { user_id }]);
    let mailbox = Mailbox::of(&app);
    mailbox.deliver(&app).await;
    assert_eq!(mailbox.sent().len(), 1);
}

/// An account of before has no list of devices: its next login is a first one.
#[tokio::test]
async fn accounts_from_before_are_not_told_of_the_device_that_they_always_use() {
    let app = App::new().await;
    app.register("alice").await;
    let stored: Vec<Value> = app.database.items("AuthTable").await;
    assert!(stored.iter().all(|item| item.get("devices").is_none()));
    let _in = log_in(&app, PHONE).await.expect(StatusCode::OK);
    assert_eq!(told(&app).await.len(), 0);
}
