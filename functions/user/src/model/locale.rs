//! The language that a user reads.

use serde::{Deserialize, Serialize};

const EXPECTED: &str = "expected a language tag (BCP 47), such as de, pt-BR or zh-Hant-TW";

/// A language tag of BCP 47 in its common form, language, script and region (RFC 5646 §2.1), each written as §2.1.1
/// recommends: `pt-BR`, `zh-Hant-TW`. Its form is checked, and not whether there is such a language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$")))]
pub struct Locale(String);

impl Locale {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Locale {
    type Error = &'static str;

    fn try_from(tag: String) -> Result<Self, Self::Error> {
        let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let mut parts = tag.split('-').peekable();
        let language = parts.next().filter(|part| matches!(part.len(), 2 | 3) && letters(part));
        let mut written = vec![language.ok_or(EXPECTED)?.to_ascii_lowercase()];
        if let Some(script) = parts.next_if(|part| part.len() == 4 && letters(part)) {
            let (first, rest) = script.split_at(1);
            written.push(first.to_ascii_uppercase() + &rest.to_ascii_lowercase());
        }
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(region) =
            parts.next_if(|part| (part.len() == 2 && letters(part)) || (part.len() == 3 && digits(part)))
        {
            written.push(region.to_ascii_uppercase());
        }
        if parts.next().is_some() { Err(EXPECTED) } else { Ok(Self(written.join("-"))) }
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> Self {
        locale.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tag: &str) -> Option<String> {
        Locale::try_from(tag.to_owned()).ok().map(String::from)
    }

    #[test]
    fn a_tag_is_written_as_the_standard_recommends() {
        for (tag, expected) in [
            ("EN", "en"),
            ("pt-br", "pt-BR"),
            ("ZH-hANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("yue-hant", "yue-Hant"),
        ] {
            assert_eq!(written(tag).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for tag in [
            "",
            "-",
            "e",
            "english",
            "en_US",
            "en-",
            "-en",
            "en--US",
            "en-US-Latn",
            "en-U5",
            "en-4190",
            "e1",
            "ä€",
            "en-US\n",
            "x-private",
            "zh-Häns",
        ] {
            assert_eq!(written(tag), None, "{tag}");
        }
    }
}
