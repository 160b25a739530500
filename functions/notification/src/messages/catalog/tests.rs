use std::collections::BTreeSet;

use super::*;

/// Every word of a locale, with the values that it names.
fn words(locale: &Locale) -> BTreeMap<(String, String), BTreeSet<String>> {
    let catalog = CATALOG.as_ref().unwrap();
    let mut words = BTreeMap::new();
    for (section, all) in &locale.words.sections {
        for word in all.keys() {
            let name = template_name(locale.tag, section, word, "txt");
            let values = catalog.templates.get_template(&name).unwrap().undeclared_variables(false);
            words.insert((section.clone(), word.clone()), values.into_iter().collect());
        }
    }
    words
}

#[test]
fn every_locale_has_every_word_with_the_same_values() {
    let catalog = CATALOG.as_ref().unwrap();
    let english = words(&catalog.locales[0]);
    for kind in EventKind::ALL {
        for word in ["subject", "heading", "body", "sms"] {
            let key = (kind.as_str().to_owned(), word.to_owned());
            assert!(english.contains_key(&key), "{key:?}");
        }
    }
    for locale in &catalog.locales[1..] {
        assert_eq!(words(locale), english, "{}", locale.tag);
    }
}

#[test]
fn no_word_is_empty_and_none_has_html_or_a_line_break_of_its_own() {
    for locale in &CATALOG.as_ref().unwrap().locales {
        for (section, words) in &locale.words.sections {
            for (word, text) in words {
                let plain = !text.trim().is_empty() && !text.contains(['<', '>', '&', '\n', '"', '\'']);
                assert!(plain, "{} {section} {word}: {text}", locale.tag);
            }
        }
    }
}

#[test]
fn a_locale_is_looked_up_by_leaving_out_what_is_too_special() {
    let catalog = CATALOG.as_ref().unwrap();
    for (tag, expected) in [
        (None, "en"),
        (Some("ja"), "ja"),
        (Some("AR"), "ar"),
        (Some("ar-EG"), "ar"),
        (Some("de-Latn-CH"), "de"),
        (Some("de-x-words"), "de"),
        (Some("zh-Hant-TW"), "en"),
        (Some("arx"), "en"),
        (Some(""), "en"),
        (Some("-"), "en"),
    ] {
        assert_eq!(catalog.locale(tag).tag, expected, "{tag:?}");
    }
}
