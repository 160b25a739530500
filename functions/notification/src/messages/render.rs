//! What a value becomes where a template says so: escaped, and kept from turning the text around it.

use std::fmt::Write as _;

use minijinja::value::Value;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter,
};

/// U+2068, first strong isolate: what follows has the direction of its own first letter.
const ISOLATE: char = '\u{2068}';
/// U+2069, which ends it.
const END: char = '\u{2069}';

/// The name that every template of words begins with.
pub(super) const WORDS: &str = "words/";

/// An environment without templates. A name's ending says how its values are escaped.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "html")) => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    environment.set_formatter(write);
    environment
}

/// Writes a value that a template names. What is safe was rendered before.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() || value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "a value is not there that the template names"));
    }
    let isolated = !value.is_safe() && value.as_str().is_some();
    if !isolated {
        return escape_formatter(out, state, value);
    }
    if matches!(state.auto_escape(), AutoEscape::Html) {
        // The layout says itself which of its values are others' text.
        if !state.name().starts_with(WORDS) {
            return escape_formatter(out, state, value);
        }
        out.write_str("<bdi>")?;
        escape_formatter(out, state, value)?;
        return Ok(out.write_str("</bdi>")?);
    }
    let text = value.as_str().unwrap_or_default();
    let rtl = state.lookup("dir").is_some_and(|dir| dir.as_str() == Some("rtl"));
    Ok(out.write_str(&isolate(text, rtl))?)
}

/// Plain text that may stand in a text of this direction without disordering it. The marks are not printed, but they do
/// cost room in an SMS: what needs none gets none.
pub(super) fn isolate(text: &str, rtl: bool) -> String {
    let one_word = text.chars().all(|character| character.is_ascii_alphanumeric());
    let disorders = if rtl { !one_word } else { text.chars().any(is_rtl) };
    let mut isolated = String::new();
    if disorders {
        // Writing to a string cannot fail.
        let _ = write!(isolated, "{ISOLATE}{text}{END}");
    } else {
        isolated += text;
    }
    isolated
}

/// Whether the character belongs to a script that is written from right to left, by Unicode's blocks for them.
fn is_rtl(character: char) -> bool {
    matches!(character,
        '\u{590}'..='\u{8ff}' | '\u{200f}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// What somebody typed, as one line: nothing in it ends the line, or the isolation that it is put into.
pub(super) fn clean(text: &str) -> String {
    let one_line = |character: char| match character {
        '\u{2028}' | '\u{2029}' => Some(' '),
        // The formatting characters that turn text around until something ends them.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        character if character.is_control() => Some(' '),
        character => Some(character),
    };
    text.chars().filter_map(one_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_other_direction_is_isolated_and_a_word_that_cannot_disorder_is_not() {
        for (text, rtl, expected) in [
            ("Ann", false, "Ann"),
            ("19.98 EUR", false, "19.98 EUR"),
            ("قهوة", false, "\u{2068}قهوة\u{2069}"),
            ("01ab", true, "01ab"),
            ("19.98 EUR", true, "\u{2068}19.98 EUR\u{2069}"),
        ] {
            assert_eq!(isolate(text, rtl), expected);
        }
    }

    #[test]
    fn nothing_ends_a_line_or_an_isolation() {
        assert_eq!(clean("a\r\nb\u{85}c\u{2028}d\u{2069}\u{202e}e\0"), "a  b c de ");
    }

    #[test]
    fn a_value_that_is_not_there_is_an_error() {
        let mut environment = environment();
        environment.add_template("words/a.txt", "{{ here }}{% if there %}{{ there }}{% endif %}").unwrap();
        let template = environment.get_template("words/a.txt").unwrap();
        let there = |there: Option<&str>| minijinja::context! { here => there, there };
        assert_eq!(template.render(there(Some("a"))).unwrap(), "aa");
        template.render(there(None)).unwrap_err();
        template.render(minijinja::context! { here => "a" }).unwrap_err();
    }
}
