//! Text that people typed.

use serde::{Deserialize, Serialize};

/// 1 to `MAX` characters, no control characters, no white space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(inline, description = "Without control characters, and without white space at either end.", extend("minLength" = 1, "maxLength" = MAX, "pattern" = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"))
)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let length = text.chars().count();
        if length == 0 || length > MAX {
            return Err(format!("expected 1 to {MAX} characters"));
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err("expected no control characters, and no white space at either end".to_owned());
        }
        Ok(Self(text))
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}
