//! One-time codes of an authenticator app: TOTP (RFC 6238) with SHA-1, six digits and steps of 30 seconds, which is what
//! every app understands.

use std::fmt;

use jiff::Timestamp;
use qrcode::QrCode;
use qrcode::render::svg;
use qrcode::types::QrError;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use totp_rs::{Algorithm, Builder, Secret, TotpError};

/// The secret that an account shares with an app: 160 random bits, as RFC 4226 §4 recommends.
///
/// It is kept as it is, because a code can only be checked by whoever can compute it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TotpSecret([u8; 20]);

/// Six digits that someone typed, spaces aside.
#[derive(Clone)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^ *([0-9] *){6}$")))]
pub(crate) struct Code(String);

/// What an app needs to know. Not `Debug`: it is the secret in three forms.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Enrolment {
    /// The secret in base32, for typing.
    secret: String,
    /// The secret as the `otpauth` URI that apps read.
    otpauth_uri: String,
    /// The URI as a QR code: an SVG document.
    qr_code: String,
}

/// An enrolment that cannot be shown: issuer and user names without a colon always can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolmentError {
    #[error("the otpauth URI cannot be made")]
    Uri(#[from] TotpError),
    #[error("the QR code cannot be made")]
    QrCode(#[from] QrError),
}

impl TotpSecret {
    /// The secret of these bytes, which must be unpredictable.
    pub(crate) fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The time step that `code` belongs to, where that is the one of `now`, the one before or the one after (RFC 6238
    /// §5.2: for the time that typing takes, and clocks that are a little off).
    ///
    /// A step is accepted once (ibid.): the caller sees to it.
    pub(crate) fn step(&self, code: &Code, now: Timestamp) -> Option<u64> {
        // A time before 1970 is no step of any app.
        let seconds = u64::try_from(now.as_second()).ok()?;
        self.builder().build_noncompliant().check(&code.0, seconds)
    }

    /// The secret for an app that will show it as `username` at `issuer`.
    pub(crate) fn enrolment(&self, issuer: &str, username: &str) -> Result<Enrolment, EnrolmentError> {
        let totp = self.builder().with_issuer(Some(issuer)).with_account_name(username).build()?;
        let otpauth_uri = totp.to_url()?;
        let qr_code = QrCode::new(&otpauth_uri)?.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
        Ok(Enrolment { secret: totp.secret().to_base32(), otpauth_uri, qr_code })
    }

    /// The library's defaults are these; here they are a promise to every app that was ever enrolled.
    fn builder(&self) -> Builder {
        let secret = Secret::new_stack(self.0);
        let builder = Builder::new().with_secret(secret).with_algorithm(Algorithm::SHA1);
        builder.with_digits(6).with_step_duration(30).with_skew(1)
    }
}

impl TryFrom<String> for TotpSecret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let secret = Secret::try_from_base32(text).ok();
        let bytes = secret.and_then(|secret| secret.as_bytes().try_into().ok());
        bytes.map(Self).ok_or("expected 20 bytes in base32")
    }
}

impl From<TotpSecret> for String {
    fn from(secret: TotpSecret) -> Self {
        Secret::new_stack(secret.0).to_base32()
    }
}

impl TryFrom<String> for Code {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits: String = text.chars().filter(|c| *c != ' ').take(7).collect();
        let is_code = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_code { Ok(Self(digits)) } else { Err("expected a code of six digits") }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::password::string(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

#[cfg(test)]
mod tests {
    use qrcode::Color;
    use totp_rs::Totp;

    use super::*;

    fn code(text: &str) -> Code {
        text.to_owned().try_into().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// RFC 6238, appendix B, the rows of SHA-1: of eight digits, the last six are the code of six digits (RFC 4226 §5.3).
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = TotpSecret::new(*b"12345678901234567890");
        for (seconds, step, digits) in [
            (59, 1, "94287082"),
            (1_111_111_109, 0x0235_23EC, "07081804"),
            (1_111_111_111, 0x0235_23ED, "14050471"),
            (1_234_567_890, 0x0273_EF07, "89005924"),
            (2_000_000_000, 0x03F9_40AA, "69279037"),
            (20_000_000_000, 0x27BC_86AA, "65353130"),
        ] {
            assert_eq!(secret.step(&code(&digits[2..]), at(seconds)), Some(step), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_one_step_late_and_no_more() {
        let secret = TotpSecret::new([7; 20]);
        let totp = secret.builder().build().unwrap();
        for (step, accepted) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
            let typed = code(&totp.generate(step * 30).to_string());
            for second in [3_000, 3_029] {
                assert_eq!(secret.step(&typed, at(second)), accepted.then_some(step), "{step} at {second}");
            }
        }
        assert_eq!(secret.step(&code("123456"), at(-1)), None, "no step before the epoch");
        assert_eq!(TotpSecret::new([8; 20]).step(&code(&totp.generate(3_000).to_string()), at(3_000)), None);
    }

    #[test]
    fn an_app_that_reads_the_uri_shows_the_codes_that_are_accepted() {
        let secret = TotpSecret::new([7; 20]);
        let enrolment = secret.enrolment("shop.example", "Mahindra.K-1").unwrap();
        assert_eq!(
            enrolment.otpauth_uri,
            format!(
                "otpauth://totp/shop.example:Mahindra.K-1?secret={}&issuer=shop.example",
                enrolment.secret
            )
        );
        let app = Totp::from_url(&enrolment.otpauth_uri).unwrap();
        assert_eq!((app.issuer(), app.account_name()), (Some("shop.example"), "Mahindra.K-1"));
        assert_eq!(secret.step(&code(&app.generate(3_000).to_string()), at(3_000)), Some(100));
    }

    /// The modules of the picture are those of a QR code of the URI.
    #[test]
    fn the_qr_code_is_a_picture_of_the_uri() {
        let enrolment = TotpSecret::new([7; 20]).enrolment("shop.example", "mahindra").unwrap();
        let code = QrCode::new(&enrolment.otpauth_uri).unwrap();
        let svg = &enrolment.qr_code;
        assert!(svg.starts_with(
            "<?xml version=\"1.0\" standalone=\"yes\"?><svg xmlns=\"http://www.w3.org/2000/svg\""
        ));
        assert!(svg.ends_with("\"/></svg>") && !svg.contains(&enrolment.secret));

        let (_, path) = svg.split_once(" d=\"").unwrap();
        let (path, _) = path.split_once('"').unwrap();
        // Each dark rectangle is `M<left> <top>h<width>v<height>H…V…`.
        let rectangles: Vec<[usize; 4]> = path
            .split('M')
            .skip(1)
            .map(|rectangle| {
                let numbers = rectangle.split([' ', 'h', 'v', 'H']).take(4).map(|n| n.parse().unwrap());
                <[usize; 4]>::try_from(numbers.collect::<Vec<_>>()).unwrap()
            })
            .collect();
        // The top left corner of a QR code is dark, behind a quiet zone of four modules.
        let quiet = rectangles[0][0];
        let size = quiet / 4;
        let dark = |x: usize, y: usize| {
            let (x, y) = (quiet + x * size, quiet + y * size);
            rectangles.iter().any(|[left, top, width, height]| {
                (*left..left + width).contains(&x) && (*top..top + height).contains(&y)
            })
        };
        let width = code.width();
        let picture: Vec<bool> = (0..width * width).map(|at| dark(at % width, at / width)).collect();
        let modules: Vec<bool> = code.to_colors().iter().map(|color| *color == Color::Dark).collect();
        assert_eq!(picture, modules);
    }

    #[test]
    fn a_code_is_six_digits_and_spaces_do_not_matter() {
        for text in ["123456", "123 456", " 1 2 3 4 5 6 "] {
            assert_eq!(code(text).0, "123456");
        }
        for text in
            ["", "12345", "1234567", "12345a", "+12345", "-12345", "１２３４５６", "123\t456", "123\u{0}456"]
        {
            assert!(Code::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(Code::try_from(" ".repeat(60_000) + "123456").is_ok());
    }

    #[test]
    fn the_secret_is_stored_as_text_and_never_printed() {
        let secret = TotpSecret::new([7; 20]);
        let stored = serde_json::to_string(&secret).unwrap();
        assert_eq!(stored, "\"A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH\"");
        assert_eq!(serde_json::from_str::<TotpSecret>(&stored).unwrap(), secret);
        assert!(serde_json::from_str::<TotpSecret>("\"A4DQ\"").is_err());
        assert_eq!(format!("{secret:?} {:?}", code("123456")), "TotpSecret(..) Code(..)");
    }
}
