//! Words and layouts, embedded and parsed once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Deserialize;
use shared::money::Money;

use super::{ComposeError, Facts, LOCALES, amount, render};
use crate::model::EventKind;

/// Everything there is; an error is a fault in the files, which the tests would have found.
pub(super) static CATALOG: LazyLock<Result<Catalog, ComposeError>> = LazyLock::new(Catalog::new);

const FILES: [&str; LOCALES.len()] = [
    include_str!("../../locales/en.toml"),
    include_str!("../../locales/ar.toml"),
    include_str!("../../locales/de.toml"),
    include_str!("../../locales/ja.toml"),
];

const LAYOUTS: [(&str, &str); 2] = [
    ("mail.html", include_str!("../../templates/mail.html")),
    ("mail.txt", include_str!("../../templates/mail.txt")),
];

/// The section of the words that all mails share.
const SHARED: &str = "shared";

pub(super) struct Catalog {
    locales: Vec<Locale>,
    templates: Environment<'static>,
}

/// A language that messages are written in.
pub(super) struct Locale {
    pub(super) tag: &'static str,
    pub(super) words: Words,
}

/// A file of `locales/`.
#[derive(Deserialize)]
pub(super) struct Words {
    pub(super) direction: Direction,
    decimal: String,
    group: String,
    /// By section, `shared` or an event's name, and name. Each word is a template.
    #[serde(flatten)]
    pub(super) sections: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where a line of text begins.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Ltr,
    Rtl,
}

impl Direction {
    /// The value of HTML's `dir`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }
}

impl Locale {
    pub(super) fn is_rtl(&self) -> bool {
        self.words.direction == Direction::Rtl
    }

    pub(super) fn amount(&self, money: Money) -> String {
        amount::amount(money, &self.words.decimal, &self.words.group)
    }
}

impl Catalog {
    fn new() -> Result<Self, ComposeError> {
        let mut templates = render::environment();
        for (name, source) in LAYOUTS {
            templates.add_template(name, source)?;
        }
        let mut locales = Vec::new();
        for (tag, file) in LOCALES.into_iter().zip(FILES) {
            let words: Words =
                toml::from_str(file).map_err(|error| ComposeError(format!("{tag}.toml: {error}")))?;
            for (section, words) in &words.sections {
                for (word, source) in words {
                    for form in ["html", "txt"] {
                        let name = template_name(tag, section, word, form);
                        templates.add_template_owned(name, source.clone())?;
                    }
                }
            }
            locales.push(Locale { tag, words });
        }
        Ok(Self { locales, templates })
    }

    /// The locale for whoever reads `tag`, by RFC 4647's lookup (§3.4): the tag itself, or else what is left of it without
    /// its last part, and so on; at last the first locale.
    pub(super) fn locale(&self, tag: Option<&str>) -> &Locale {
        let mut range = tag;
        while let Some(wanted) = range {
            if let Some(locale) = self.locales.iter().find(|locale| locale.tag.eq_ignore_ascii_case(wanted)) {
                return locale;
            }
            // A part of one letter only announces the next.
            range = wanted.rsplit_once('-').map(|(rest, _)| match rest.rsplit_once('-') {
                Some((shorter, announcing)) if announcing.len() == 1 => shorter,
                _ => rest,
            });
        }
        // `new` made as many as there are files.
        &self.locales[0]
    }

    /// A word of an event's as plain text.
    pub(super) fn word(
        &self,
        locale: &Locale,
        kind: EventKind,
        word: &str,
        facts: &Facts<'_>,
    ) -> Result<String, ComposeError> {
        self.filled(locale, kind.as_str(), word, "txt", facts)
    }

    /// The mail in this layout.
    pub(super) fn mail(
        &self,
        locale: &Locale,
        kind: EventKind,
        layout: &str,
        facts: &Facts<'_>,
    ) -> Result<String, ComposeError> {
        let form = layout.rsplit('.').next().unwrap_or_default();
        let mut words = BTreeMap::new();
        for section in [SHARED, kind.as_str()] {
            // What an SMS says is no part of a mail.
            for word in locale
                .words
                .sections
                .get(section)
                .into_iter()
                .flat_map(BTreeMap::keys)
                .filter(|word| *word != "sms")
            {
                let text = self.filled(locale, section, word, form, facts)?;
                words.insert(word.as_str(), Value::from_safe_string(text));
            }
        }
        // A title is text even where the mail is HTML, and has no elements in it.
        let subject = self.word(locale, kind, "subject", facts)?;
        let context = context! { words => Value::from_pairs(words), subject, ..Serde(facts) };
        Ok(self.templates.get_template(layout)?.render(context)?)
    }

    fn filled(
        &self,
        locale: &Locale,
        section: &str,
        word: &str,
        form: &str,
        facts: &Facts<'_>,
    ) -> Result<String, ComposeError> {
        let name = template_name(locale.tag, section, word, form);
        Ok(self.templates.get_template(&name)?.render(Serde(facts))?)
    }
}

fn template_name(tag: &str, section: &str, word: &str, form: &str) -> String {
    format!("{}{tag}/{section}/{word}.{form}", render::WORDS)
}

impl From<minijinja::Error> for ComposeError {
    fn from(error: minijinja::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests;
