//! What the mails say.

use std::fmt::Write as _;

use jiff::Timestamp;
use shared::mail::{Mail, escape};
use user::model::Profile;

use crate::model::one_time::{OneTimeToken, Purpose};
use crate::outbox::FactorChange;

/// What strangers wrote is cut off after so many characters.
const MAX_FOREIGN: usize = 100;

/// A paragraph.
enum Part {
    /// Prose.
    Text(String),
    /// Something to copy, on a line of its own.
    Copy(String),
}

use Part::{Copy, Text};

/// How to set another password.
pub(crate) fn password_reset(profile: &Profile, token: &OneTimeToken, api: &str) -> Mail {
    let minutes = Purpose::PasswordReset.lifetime().as_secs() / 60;
    mail(
        Some(profile),
        "Set a new password",
        vec![
            Text(format!(
                "somebody asked for a new password for the account \"{}\". If it was you, send this token:",
                profile.username.as_str()
            )),
            Copy(token.encode()),
            Text("with the password that you want, to this address:".to_owned()),
            Copy(format!("POST {api}/password/reset")),
            Copy("{\"token\": \"...\", \"new_password\": \"...\"}".to_owned()),
            Text(format!(
                "The token works once, within {minutes} minutes. Setting the password ends all your sessions."
            )),
            Text(
                "If it was not you, you need not do anything: nothing changes without the token.".to_owned(),
            ),
        ],
    )
}

/// How to verify an address.
pub(crate) fn email_verification(profile: &Profile, token: &OneTimeToken, api: &str) -> Mail {
    let hours = Purpose::EmailVerification.lifetime().as_hours();
    mail(
        None,
        "Verify your e-mail address",
        vec![
            Text(format!(
                "the account \"{}\" gave this e-mail address. If it is yours, send this token:",
                profile.username.as_str()
            )),
            Copy(token.encode()),
            Text("to this address:".to_owned()),
            Copy(format!("POST {api}/email/verify")),
            Copy("{\"token\": \"...\"}".to_owned()),
            Text(format!("The token works once, within {hours} hours.")),
            Text(
                "If you know nothing of this, you need not do anything: no other mail will come.".to_owned(),
            ),
        ],
    )
}

/// That there is another password.
pub(crate) fn password_changed(profile: &Profile, api: &str) -> Mail {
    notice(profile, "Your password was changed", "the password of the account", "was changed", api)
}

/// That something about the second factor is different.
pub(crate) fn factor_changed(profile: &Profile, change: FactorChange, api: &str) -> Mail {
    let (subject, what) = match change {
        FactorChange::Enabled => ("Your second factor is on", "takes a code from now on when you log in"),
        FactorChange::Disabled => ("Your second factor is off", "takes no code any more when you log in"),
        FactorChange::RecoveryCodesReplaced => {
            ("You have new recovery codes", "has new recovery codes; the old ones are void")
        }
        FactorChange::RecoveryCodeUsed => {
            ("A recovery code was used", "was opened with a recovery code instead of the second factor")
        }
    };
    notice(profile, subject, "the account", what, api)
}

/// That somebody logged in from a device that is new.
pub(crate) fn new_sign_in(profile: &Profile, at: Timestamp, device: &str, api: &str) -> Mail {
    let mut parts = vec![
        Text(format!(
            "somebody logged in to the account \"{}\" on {}, from a device that it was not used from before. It calls itself:",
            profile.username.as_str(),
            at.strftime("%Y-%m-%d at %H:%M UTC"),
        )),
        Copy(one_line(device)),
    ];
    parts.extend(if_it_was_not_you(api));
    mail(Some(profile), "New sign-in to your account", parts)
}

/// What a stranger wrote, fit for a line of a mail: nothing in it breaks the line, or is shown in another order than it is
/// written in. Those who name devices write ASCII.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii() && !c.is_control()).take(MAX_FOREIGN).collect()
}

/// That mail goes to another address from now on. It does not say which: this one may be in other hands by now.
pub(crate) fn email_changed(profile: &Profile) -> Mail {
    let name = profile.username.as_str();
    mail(
        Some(profile),
        "Your e-mail address was changed",
        vec![
            Text(format!("the account \"{name}\" has another e-mail address, and no mail comes here any more.")),
            Text("If it was you, all is well. If not, somebody else is in your account: write to our support at once.".to_owned()),
        ],
    )
}

fn notice(profile: &Profile, subject: &str, whose: &str, what: &str, api: &str) -> Mail {
    let mut parts = vec![Text(format!("{whose} \"{}\" {what}.", profile.username.as_str()))];
    parts.extend(if_it_was_not_you(api));
    mail(Some(profile), subject, parts)
}

fn if_it_was_not_you(api: &str) -> [Part; 3] {
    [
        Text("If it was you, all is well. If not, somebody else is in your account: set a new password at once, by".to_owned()),
        Copy(format!("POST {api}/password/forgot")),
        Text("and if that does not bring you a mail, write to our support.".to_owned()),
    ]
}

/// `to` is whom to call by name; nobody where the address may be a stranger's, to whom somebody would write by a name of
/// their choice.
fn mail(to: Option<&Profile>, subject: &str, parts: Vec<Part>) -> Mail {
    let name =
        to.map(|profile| profile.name.as_ref().map_or(profile.username.as_str(), |name| name.as_str()));
    let hello = name.map_or_else(|| "Hello".to_owned(), |name| format!("Hello {name}"));
    let mut text = format!("{hello},\n");
    let mut html = format!("<!doctype html><html lang=\"en\"><body><p>{},</p>", escape(&hello));
    // Writing to a string cannot fail.
    for part in parts {
        let _ = match part {
            Text(line) => write!(text, "\n{line}\n").and_then(|()| write!(html, "<p>{}</p>", escape(&line))),
            Copy(line) => {
                write!(text, "\n{line}\n").and_then(|()| write!(html, "<pre>{}</pre>", escape(&line)))
            }
        };
    }
    html.push_str("</body></html>");
    Mail { subject: subject.to_owned(), text, html }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const API: &str = "https://api.example.com";

    fn profile(name: &str) -> Profile {
        let profile = json!({
            "user_id": uuid::Uuid::nil(), "username": "ann", "email": "ann@example.com", "name": name,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(profile).unwrap()
    }

    #[test]
    fn a_mail_with_a_token_says_where_it_goes_and_how_long_it_lasts() {
        let (token, profile) = (OneTimeToken::new([7; 32]), profile("Ann"));
        for (mail, endpoint, lifetime) in [
            (
                password_reset(&profile, &token, API),
                "POST https://api.example.com/password/reset",
                "within 30 minutes",
            ),
            (
                email_verification(&profile, &token, API),
                "POST https://api.example.com/email/verify",
                "within 24 hours",
            ),
        ] {
            let lines: Vec<_> = mail.text.lines().collect();
            for line in [token.encode().as_str(), endpoint] {
                assert!(lines.contains(&line), "{line}: {}", mail.text);
            }
            for form in [&mail.text, &mail.html] {
                assert!(
                    form.contains(&token.encode()) && form.contains(endpoint) && form.contains(lifetime),
                    "{form}"
                );
            }
            assert!(!mail.subject.contains(&token.encode()), "subjects are shown on locked screens");
        }
    }

    #[test]
    fn what_people_typed_is_text_in_the_html() {
        let (token, profile) = (OneTimeToken::new([7; 32]), profile("<img src=x onerror='a()'>"));
        for mail in [
            password_reset(&profile, &token, API),
            password_changed(&profile, API),
            factor_changed(&profile, FactorChange::Disabled, API),
            email_changed(&profile),
            new_sign_in(&profile, Timestamp::UNIX_EPOCH, "curl", API),
        ] {
            assert!(mail.html.contains("Hello &lt;img src=x onerror=&#39;a()&#39;&gt;"), "{}", mail.html);
            assert!(!mail.html.contains("<img") && !mail.text.contains(&token.hash()));
            assert!(!mail.subject.is_empty() && !mail.subject.contains('\n'));
        }
    }

    /// Anybody can register with anybody's address: the mail to it must not carry a message of theirs.
    #[test]
    fn a_mail_to_an_address_that_is_not_verified_has_no_free_text() {
        let mail = email_verification(&profile("Win at evil dot example"), &OneTimeToken::new([7; 32]), API);
        assert!(
            mail.text.starts_with("Hello,\n") && !mail.text.contains("evil") && !mail.html.contains("evil")
        );
    }
}
