//! The one verifier of access tokens, which every service uses.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::Caller;
use super::claims::{Claims, TYPE};
use super::key_source::{KeySource, LoadError};
use super::keys::KeySet;
use super::revocations::{RevocationLog, Revocations};
use super::verified::{TokenDigest, Verified};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::config::Env;
use crate::db::Table;
use crate::json;
use crate::metrics;
use crate::problem::Problem;

/// Longer tokens are refused unread, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// How far the clocks of two functions may differ. A token may be this much younger than our clock; `exp` gets no leeway.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Verifies access tokens with the published keys, and knows the sessions that ended before their tokens did.
#[derive(Debug)]
pub struct Verifier {
    pub(super) keys: KeySource,
    /// None only in tests that do not care.
    pub(super) revocations: Option<Revocations>,
    pub(super) clock: Clock,
}

/// Why a token was refused; for the log, not for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not `Bearer` and one token.
    #[error("the Authorization header is not Bearer and one token")]
    Scheme,
    /// Not a compact JWS with a header that we issue.
    #[error("the token is malformed")]
    Malformed,
    /// Another `typ` than an access token's; an ID token, for one.
    #[error("the token is not an access token")]
    Type,
    /// No published key has this `kid`.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// The key was retired.
    #[error("the token's key is retired")]
    RetiredKey,
    /// The token wants another algorithm than its key's.
    #[error("the token's algorithm is not its key's")]
    Algorithm,
    /// The signature does not fit.
    #[error("the signature does not verify")]
    Signature,
    /// A claim is missing or of the wrong type.
    #[error("a claim is missing or malformed")]
    Claims,
    /// Another `iss`.
    #[error("the issuer is another")]
    Issuer,
    /// Another `aud`.
    #[error("the audience is another")]
    Audience,
    /// After `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before `nbf` or `iat`.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Its session ended.
    #[error("the token's session was revoked")]
    Revoked,
    /// Nobody can tell whether its session ended: no fault of the token.
    #[error("the revocations cannot be read")]
    RevocationsUnknown,
}

impl Refused {
    /// The reason in one word, as metrics count it.
    fn reason(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Malformed => "malformed",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::RetiredKey => "retired_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::RevocationsUnknown => "revocations_unknown",
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::RevocationsUnknown => Self::unavailable(Revocations::RETRY_AFTER),
            _ => Self::unauthorized(Some("invalid_token")),
        }
    }
}

/// Every member that our tokens' headers have. Any other (`jku`, `jwk`, `x5u`, `x5c`, `crit`, `zip`, …) and any
/// member twice refuse the token: nothing in a header is ever followed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl Verifier {
    /// Reads the keys from the secret that `VERIFICATION_KEYS_SECRET` names, and the revocations from the table that
    /// `REVOCATION_TABLE` names. A table that cannot be read is no error: [`verify`](Self::verify) tries again.
    pub async fn load(env: &Env, aws: &Aws, clock: Clock) -> Result<Self, LoadError> {
        let table = Table::new(aws.dynamodb(), env.required("REVOCATION_TABLE")?);
        let revocations = Revocations::new(RevocationLog::new(table), clock.clone());
        let keys = KeySource::load(env, aws.secrets_manager(), clock.clone());
        let (keys, _tried_again_later) = tokio::join!(keys, revocations.refresh());
        Ok(Self { keys: keys?, revocations: Some(revocations), clock })
    }

    /// A verifier whose keys never change and for which no session was revoked.
    #[cfg(feature = "testing")]
    pub fn fixed(keys: KeySet, clock: Clock) -> Self {
        Self { keys: KeySource::fixed(keys, clock.clone()), revocations: None, clock }
    }

    /// The same with the revocations in `log`, which are read by the first token.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_revocations(self, log: RevocationLog) -> Self {
        Self { revocations: Some(Revocations::new(log, self.clock.clone())), ..self }
    }

    /// The keys in use, read again from the secret where they are due.
    pub async fn keys(&self) -> Arc<KeySet> {
        self.keys.get().await
    }

    /// The keys in use, read again where they are due or do not hold `kid`.
    pub async fn keys_with(&self, kid: &str) -> Arc<KeySet> {
        self.keys.get_with(kid).await
    }

    /// The caller whose token the `Authorization` header carries; 401 for every other header, and 503 where nobody can
    /// tell whether the session was revoked.
    pub async fn authenticate(&self, header: &HeaderValue) -> Result<Caller, Problem> {
        let token = bearer(header);
        let outcome = match token {
            Ok(token) => self.verified(token).await,
            Err(refused) => Err(refused),
        };
        outcome.map(|verified| Caller::from(&verified.claims)).map_err(|refused| {
            tracing::info!(reason = %refused, "token refused");
            metrics::verification_failure(refused.reason());
            refused.into()
        })
    }

    /// Whether tokens can be verified right now; for readiness probes.
    pub async fn ready(&self) -> Result<(), Refused> {
        match &self.revocations {
            Some(revocations) => revocations.refresh().await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// The claims of a valid access token.
    pub async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        self.verified(token).await.map(|verified| verified.claims.clone())
    }

    async fn verified(&self, token: &str) -> Result<Arc<Verified>, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::Malformed);
        }
        let digest = TokenDigest::of(token);
        let known = self.keys.get().await.verified.get(&digest);
        let verified = if let Some(verified) = known {
            verified.check_time(self.clock.now())?;
            verified
        } else {
            let token = Token::parse(token)?;
            let keys = self.keys_with(&token.header.kid).await;
            let verified = Arc::new(keys.check(&token)?);
            verified.check_time(self.clock.now())?;
            keys.verified.put(digest, &verified);
            verified
        };
        // Last, so that nobody makes us read the table with a token that is none.
        if let Some(revocations) = &self.revocations {
            revocations.check(verified.claims.sid, verified.claims.auth_time).await?;
        }
        Ok(verified)
    }
}

impl KeySet {
    /// The claims of an access token that is valid by these keys. Whether its session was revoked is another question.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Refused> {
        let verified = self.check(&Token::parse(token)?)?;
        verified.check_time(now).map(|()| verified.claims)
    }

    /// All that never changes: the signature, and what is signed.
    fn check(&self, token: &Token<'_>) -> Result<Verified, Refused> {
        let key = self.get(&token.header.kid).ok_or(Refused::UnknownKey)?;
        if token.header.alg != key.algorithm.name() {
            return Err(Refused::Algorithm);
        }
        if !key.verify(token.message.as_bytes(), token.signature) {
            return Err(Refused::Signature);
        }
        let claims = token.claims()?;
        if claims.iss != self.document.issuer {
            return Err(Refused::Issuer);
        }
        if !claims.aud.contains(&self.document.audience) {
            return Err(Refused::Audience);
        }
        if claims.jti.is_empty() {
            return Err(Refused::Claims);
        }
        Ok(Verified { claims, key_ends: key.not_after })
    }
}

impl Verified {
    /// All that changes by itself.
    fn check_time(&self, now: Timestamp) -> Result<(), Refused> {
        if self.key_ends.is_some_and(|end| now > end) {
            return Err(Refused::RetiredKey);
        }
        let at = |seconds| Timestamp::from_second(seconds).map_err(|_| Refused::Claims);
        if now >= at(self.claims.exp)? {
            return Err(Refused::Expired);
        }
        let latest = now + CLOCK_SKEW;
        if latest < at(self.claims.nbf)? || latest < at(self.claims.iat)? {
            return Err(Refused::NotYetValid);
        }
        Ok(())
    }
}

/// The token of `Bearer <token>` (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
fn bearer(header: &HeaderValue) -> Result<&str, Refused> {
    let (scheme, token) =
        header.to_str().map_err(|_| Refused::Scheme)?.split_once(' ').ok_or(Refused::Scheme)?;
    if scheme.eq_ignore_ascii_case("Bearer") { Ok(token) } else { Err(Refused::Scheme) }
}

/// A token's three parts (JWS compact serialization, RFC 7515 §3.1), of which the header is read.
struct Token<'a> {
    header: Header,
    /// What is signed: the first two parts and the dot between them.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    fn parse(token: &'a str) -> Result<Self, Refused> {
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        // A dot too many is no base64url and refused as such.
        let (header, payload) = message.split_once('.').ok_or(Refused::Malformed)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refused::Malformed)?;
        let header: Header = json::strict_object(&header).map_err(|_| Refused::Malformed)?;
        if !is_access_token(&header.typ) {
            return Err(Refused::Type);
        }
        Ok(Self { header, message, payload, signature })
    }

    /// The claims; only for tokens whose signature was checked.
    fn claims(&self) -> Result<Claims, Refused> {
        let payload = URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| Refused::Malformed)?;
        json::strict_object(&payload).map_err(|_| Refused::Claims)
    }
}

/// `at+jwt`, with or without `application/`, in any case (RFC 9068 §4, RFC 7515 §4.1.9).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == TYPE
}
