//! Passwords: which may be chosen, and in which form they are compared (ASVS 5.0 §6.2, NIST SP 800-63B-4 §3.1.1.2).
//!
//! A password is brought into Unicode's normal form NFKC where it comes in, so that the same characters are the same password
//! whatever keyboard or system they were typed on. Nothing else is changed or cut off, and no kind of character is asked for or
//! refused: spaces count, and so would a control character that somebody manages to type.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;
use zxcvbn::feedback::Feedback;
use zxcvbn::{Entropy, zxcvbn};

/// A password hash in the PHC string format, parameters and salt included.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub(crate) String);

/// A password that someone tries, normalised: at most 128 characters (Unicode scalar values), as sent or when normalised, and
/// at most 512 as sent, so that nobody can make us normalise and hash megabytes.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("maxLength" = MAX_PASSWORD)))]
pub struct Password(String);

/// A password that someone chooses: 8 to 128 characters like [`Password`], and at least 8 both as sent and when normalised. Whether it is easily guessed takes
/// some computing: [`guessable`](Self::guessable).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("minLength" = MIN_PASSWORD)))]
pub struct NewPassword(Password);

/// Why a password is too easily guessed, and what would help; says nothing of the password itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guessable {
    pub(crate) warning: Option<String>,
    pub(crate) suggestions: Vec<String>,
}

const MIN_PASSWORD: usize = 8;
const MAX_PASSWORD: usize = 128;
/// As sent, however few they are when normalised.
const MAX_SENT: usize = 512;
const LENGTH: &str = "expected a password of 8 to 128 characters; 15 or more are recommended";

/// What eight characters take in which zxcvbn finds no pattern.
const MIN_GUESSES: u64 = 100_000_000;

/// How much of a long password is looked at, from its beginning and its end: the time that zxcvbn takes grows with the
/// square of the length, times a thousand for some combinations of punctuation. Either part being hard to guess makes the
/// whole so.
const LOOKED_AT: usize = 24;

/// Words of this service, which are the first guesses at its passwords (ASVS 5.0 §6.1.2, §6.2.11).
const OUR_WORDS: [&str; 11] = [
    "shop",
    "store",
    "cart",
    "order",
    "payment",
    "notification",
    "analytics",
    "customer",
    "admin",
    "login",
    "register",
];

impl Password {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl NewPassword {
    /// Why the password is refused: it takes fewer than [`MIN_GUESSES`], given what is known `about` its owner: name, e-mail
    /// address and the like.
    pub(crate) fn guessable(&self, about: &[String]) -> Option<Guessable> {
        let parts = about.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let ends = about.iter().flat_map(|text| [start(text), end(text)]);
        let words: Vec<_> =
            OUR_WORDS.into_iter().chain(parts).chain(ends).filter(|w| !w.is_empty()).collect();
        let Self(Password(password)) = self;
        let estimate = zxcvbn(start(password), &words);
        let good = |estimate: &Entropy| estimate.guesses() >= MIN_GUESSES;
        if good(&estimate) || (end(password) != password && good(&zxcvbn(end(password), &words))) {
            return None;
        }
        let feedback = estimate.feedback();
        Some(Guessable {
            warning: feedback.and_then(Feedback::warning).map(|warning| warning.to_string()),
            suggestions: feedback
                .map(|feedback| feedback.suggestions().iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
        })
    }
}

/// The first [`LOOKED_AT`] characters.
fn start(text: &str) -> &str {
    text.char_indices().nth(LOOKED_AT).map_or(text, |(index, _)| &text[..index])
}

/// The last [`LOOKED_AT`] characters.
fn end(text: &str) -> &str {
    text.char_indices().nth_back(LOOKED_AT - 1).map_or(text, |(index, _)| &text[index..])
}

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(password: String) -> Result<Self, Self::Error> {
        const TOO_LONG: &str = "expected a password of at most 128 characters";
        if password.chars().nth(MAX_SENT).is_some() {
            return Err(TOO_LONG);
        }
        let normalised: String = password.nfkc().collect();
        // In either form: one system sends an accented letter as one character, another as two.
        let short_enough = |text: &str| text.chars().nth(MAX_PASSWORD).is_none();
        if short_enough(&password) || short_enough(&normalised) {
            Ok(Self(normalised))
        } else {
            Err(TOO_LONG)
        }
    }
}

impl TryFrom<String> for NewPassword {
    type Error = &'static str;

    fn try_from(password: String) -> Result<Self, Self::Error> {
        // As it was typed too: one character can be eighteen in its normal form.
        let long_enough = |text: &str| text.chars().nth(MIN_PASSWORD - 1).is_some();
        if !long_enough(&password) {
            return Err(LENGTH);
        }
        match Password::try_from(password) {
            Ok(password) if long_enough(&password.0) => Ok(Self(password)),
            _ => Err(LENGTH),
        }
    }
}

impl From<NewPassword> for Password {
    fn from(password: NewPassword) -> Self {
        password.0
    }
}

impl PartialEq<Password> for NewPassword {
    fn eq(&self, other: &Password) -> bool {
        self.0 == *other
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for NewPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// serde's own message about a number or an object would quote it: a password that lacks its quotes.
pub(super) fn string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        _ => Err(D::Error::custom("expected a string")),
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(password: &str) -> NewPassword {
        password.to_owned().try_into().unwrap()
    }

    #[test]
    fn passwords_are_counted_in_characters_not_bytes() {
        for good in
            ["8 chars.", &"ä".repeat(8), &"🔑".repeat(128), &" ".repeat(8), "\u{0}\n\t\r\u{7f}\u{1b}\u{85}a"]
        {
            NewPassword::try_from(good.to_owned()).unwrap();
        }
        // The last three are eight characters in one form and fewer in the other.
        let bad = [
            "",
            "7 chars",
            &"🔑".repeat(7),
            &"a".repeat(129),
            "\u{fdfa}",
            "e\u{301}".repeat(4).as_str(),
            "ﬁﬁﬁﬁ",
        ]
        .map(ToOwned::to_owned);
        for bad in bad {
            assert_eq!(NewPassword::try_from(bad.clone()).unwrap_err(), LENGTH, "{bad}");
        }
        Password::try_from(String::new()).unwrap();
        Password::try_from("a".repeat(129)).unwrap_err();
    }

    #[test]
    fn the_same_characters_are_the_same_password_however_they_were_typed() {
        for (one, other) in [
            ("Zürich Gläser", "Zu\u{308}rich Gla\u{308}ser"),
            ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
            ("non\u{a0}breaking", "non breaking"),
            ("ﬁrst oﬃce", "first office"),
            ("각나다라마바사아", "\u{1100}\u{1161}\u{11a8}나다라마바사아"),
        ] {
            assert_eq!(Password::try_from(one.to_owned()), Password::try_from(other.to_owned()), "{one}");
        }
        // Case, spaces and what merely looks alike stay different.
        for (one, other) in [("Password", "password"), (" a", "a"), ("a ", "a"), ("a  b", "a b"), ("а", "a")]
        {
            assert_ne!(Password::try_from(one.to_owned()), Password::try_from(other.to_owned()), "{one}");
        }
    }

    #[test]
    fn a_long_password_is_taken_in_either_form() {
        let (composed, decomposed) = ("é".repeat(100), "e\u{301}".repeat(100));
        assert_eq!(new(&composed), new(&decomposed));
        assert_eq!(Password::try_from(composed), Password::try_from(decomposed));
        for bad in ["e\u{301}".repeat(129), "e\u{301}\u{302}\u{303}\u{304}".repeat(103)] {
            NewPassword::try_from(bad.clone()).unwrap_err();
            Password::try_from(bad).unwrap_err();
        }
    }

    #[test]
    fn common_and_obvious_passwords_are_guessable() {
        for password in [
            "password",
            "12345678",
            "123456789",
            "iloveyou",
            "princess",
            "football",
            "baseball",
            "trustno1",
            "sunshine",
            "superman",
            "qwertyuiop",
            "1q2w3e4r",
            "letmein1",
            "Password1!",
            "P@ssw0rd",
            "Pa55word!",
            "Summer2026!",
            "aaaaaaaa",
            "abcdefgh",
            "87654321",
            "abcabcabc",
            "19841231",
            "drowssap",
            "qazwsxedc",
            "ｐａｓｓｗｏｒｄ",
            "        ",
            "🔑🔑🔑🔑🔑🔑🔑🔑",
            "шшшшшшшш",
            "абвгдежз",
        ] {
            assert!(new(password).guessable(&[]).is_some(), "{password}");
        }
        // However long.
        assert!(new(&"password".repeat(16)).guessable(&[]).is_some());
        assert!(new(&"a".repeat(128)).guessable(&[]).is_some());
    }

    #[test]
    fn what_is_known_of_the_owner_and_of_us_is_guessable() {
        let about = ["zebulon-carraway".to_owned(), "zeb.quillfeather@wigglesworth.example".to_owned()];
        for password in [
            "zebulon-carraway",
            "ZEBULON-carraway",
            "Zebulon1",
            "carraway!",
            "quillfeather",
            "Quillfeather1",
            "wigglesworth",
            "zeb.quillfeather@wigglesworth.example",
        ] {
            assert!(new(password).guessable(&about).is_some(), "{password}");
        }
        assert!(new("quillfeather42").guessable(&[]).is_none(), "it is about the owner only");
        assert!(new("shoplogin1").guessable(&[]).is_some());
    }

    #[test]
    fn good_passwords_of_any_kind_are_taken() {
        for password in [
            "correct horse battery",
            "correct horse battery staple",
            "kvQ9#tz2",
            "purple monkey dishwasher",
            "zwölf Boxkämpfer jagen",
            "паролькоторыйсложно",
            "密码是很长的一句话吗",
            "🐙🎈🚲🌵🦊🎹🍒🗿",
            "\u{1}\u{9}x\u{1b}q\u{7f}z&\u{2}",
        ] {
            assert_eq!(new(password).guessable(&["alice".to_owned()]), None, "{password}");
        }
    }

    #[test]
    fn a_long_password_is_as_good_as_its_better_end_and_a_hostile_one_costs_little() {
        assert_eq!(new(&format!("{}vK#9tz!2Qx", "a".repeat(100))).guessable(&[]), None);
        assert_eq!(new(&format!("vK#9tz!2Qx{}", "a".repeat(100))).guessable(&[]), None);
        // zxcvbn tries all readings of this as "leet" letters: over 128 characters it would take half a minute here.
        let hostile: String = "4@8({[<3369#!1|5$7+%2".chars().cycle().take(128).collect();
        assert_eq!(new(&hostile).guessable(&[]), None);
    }

    #[test]
    fn no_secret_is_printed() {
        let hash = PasswordHash("$argon2id$secret".to_owned());
        let printed = format!("{:?} {hash:?}", new("open sesame"));
        assert!(!printed.contains("sesame") && !printed.contains("argon2id"), "{printed}");
        let error = serde_json::from_str::<Password>("12345678").unwrap_err().to_string();
        assert!(!error.contains("12345678"), "{error}");
    }
}
