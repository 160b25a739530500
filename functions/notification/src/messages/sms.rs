//! What fits into an SMS (3GPP TS 23.038): one character outside the alphabet of GSM, and only half as much does.

/// The GSM 7-bit default alphabet, without its escape.
const BASIC: &str = concat!(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
/// Its extension: each takes an escape and a second septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How many segments `text` is sent, and charged, as.
pub fn segments(text: &str) -> usize {
    let (length, one, each) = match septets(text) {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one { 1 } else { length.div_ceil(each) }
}

/// How long `text` is in the alphabet of GSM; none where that cannot write it.
fn septets(text: &str) -> Option<usize> {
    let cost = |character| match character {
        _ if BASIC.contains(character) => Some(1),
        _ if EXTENSION.contains(character) => Some(2),
        _ => None,
    };
    text.chars().map(cost).sum()
}

/// As much of `text` as `units` of UTF-16 hold, with two dots where something is missing.
pub(super) fn cut(text: &str, units: usize) -> String {
    if text.encode_utf16().count() <= units {
        return text.to_owned();
    }
    let mut left = units.saturating_sub(2);
    let fits = |character: &char| {
        let rest = left.checked_sub(character.len_utf16());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}..", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_160_characters_of_gsm_or_70_others() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("ü".repeat(160), 1),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("注".repeat(70), 1),
            ("注".repeat(71), 2),
            ("注".repeat(135), 3),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("a".repeat(69) + "’", 1),
            ("a".repeat(70) + "’", 2),
        ] {
            assert_eq!(segments(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_alphabet_has_127_characters_and_ten_more() {
        assert_eq!((BASIC.chars().count(), EXTENSION.chars().count()), (127, 10));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("DHL", 3), "DHL");
        assert_eq!(cut("DHLx", 3), "D..");
        assert_eq!(cut("Deutsche Post", 12), "Deutsche P..");
        assert_eq!(cut("Deutsche Post", 11), "Deutsche..");
        assert_eq!(cut("😀😀😀", 5), "😀..");
    }
}
