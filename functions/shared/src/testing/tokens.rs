//! An issuer of tokens whose key pair is made once per test process.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::testing::Database;
use crate::token::{
    Algorithm, Claims, KeySet, PublicKey, PublishedKey, RevocationLog, TYPE, VerificationKeys, Verifier,
};

/// The issuer of test tokens.
pub const ISSUER: &str = "http://localhost:8000";
/// The audience of test tokens.
pub const AUDIENCE: &str = "http://localhost:8000";

/// A key pair and the tokens that it signs.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    pub(super) private: EncodingKey,
    private_pem: String,
    public: PublishedKey,
    public_pem: String,
}

/// The issuer that a test's verifier trusts.
pub fn issuer() -> &'static Issuer {
    static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::generate);
    &ISSUER
}

impl Issuer {
    /// An issuer with a new RSA key of 2048 bits, for RS256; another one than [`issuer`]'s.
    ///
    /// # Panics
    /// When the key cannot be made.
    pub fn generate() -> Self {
        Self::generate_for(Algorithm::Rs256)
    }

    /// An issuer with a new key for `algorithm`.
    ///
    /// # Panics
    /// When the key cannot be made.
    pub fn generate_for(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Self::rsa(algorithm, &RsaKeyPair::generate(KeySize::Rsa2048).expect("a key pair"))
            }
            Algorithm::Es256 => {
                Self::p256(&EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair"))
            }
        }
    }

    /// The issuer that signs with this private RSA key, PKCS#8 PEM, by RS256.
    ///
    /// # Panics
    /// When it is not one.
    pub fn from_pem(private: &str) -> Self {
        let der = pem::parse(private).expect("a PEM file");
        Self::rsa(Algorithm::Rs256, &RsaKeyPair::from_pkcs8(der.contents()).expect("an RSA key in PKCS#8"))
    }

    fn rsa(algorithm: Algorithm, pair: &RsaKeyPair) -> Self {
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let private_pem = pem_of("PRIVATE KEY", pkcs8.as_ref());
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        Self {
            url: ISSUER.to_owned(),
            private: EncodingKey::from_rsa_pem(private_pem.as_bytes()).expect("an RSA key"),
            private_pem,
            public: PublishedKey::new(algorithm, PublicKey::rsa(&public.n, &public.e)),
            public_pem: pem_of("PUBLIC KEY", spki.as_ref()),
        }
    }

    fn p256(pair: &EcdsaKeyPair) -> Self {
        let pkcs8 = pair.to_pkcs8v1().expect("PKCS#8");
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
        let public = PublicKey::p256(pair.public_key().as_ref()).expect("an uncompressed point");
        Self {
            url: ISSUER.to_owned(),
            private: EncodingKey::from_ec_der(pkcs8.as_ref()),
            private_pem: pem_of("PRIVATE KEY", pkcs8.as_ref()),
            public: PublishedKey::new(Algorithm::Es256, public),
            public_pem: pem_of("PUBLIC KEY", spki.as_ref()),
        }
    }

    /// The same with another name: `iss` and `aud` of its tokens.
    #[must_use]
    pub fn named(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// The private key, PKCS#8 PEM.
    pub fn private_pem(&self) -> &str {
        &self.private_pem
    }

    /// The public key, SPKI PEM.
    pub fn public_pem(&self) -> String {
        self.public_pem.clone()
    }

    /// The public key as published.
    pub fn public(&self) -> &PublishedKey {
        &self.public
    }

    /// The content of a verification-keys secret that trusts this issuer.
    pub fn verification_keys(&self) -> VerificationKeys {
        VerificationKeys {
            issuer: self.url.clone(),
            audience: self.url.clone(),
            keys: vec![self.public.clone()],
        }
    }

    /// A verifier that trusts this issuer and lives by `clock`.
    ///
    /// # Panics
    /// When the generated key is not usable.
    pub fn verifier(&self, clock: &Clock) -> Arc<Verifier> {
        Arc::new(self.fixed_verifier(clock))
    }

    /// The same, and it knows the revocations in `database`'s `RevocationTable`.
    ///
    /// # Panics
    /// When the generated key is not usable.
    pub fn verifier_with_revocations(&self, clock: &Clock, database: &Database) -> Arc<Verifier> {
        let log = RevocationLog::new(database.table("RevocationTable"));
        Arc::new(self.fixed_verifier(clock).with_revocations(log))
    }

    fn fixed_verifier(&self, clock: &Clock) -> Verifier {
        Verifier::fixed(KeySet::new(self.verification_keys()).expect("good keys"), clock.clone())
    }

    /// The claims of a good token that begins at `now` and lasts 15 minutes.
    pub fn claims(&self, user_id: Uuid, username: &str, now: Timestamp) -> Claims {
        Claims {
            iss: self.url.clone(),
            sub: user_id,
            aud: self.url.as_str().into(),
            exp: now.as_second() + 900,
            iat: now.as_second(),
            nbf: now.as_second(),
            jti: "test".to_owned(),
            client_id: "test".to_owned(),
            scope: "api".to_owned(),
            auth_time: Some(now.as_second()),
            sid: Uuid::nil(),
            username: username.to_owned(),
            roles: vec!["customer".to_owned()],
        }
    }

    /// The header of a good token.
    pub fn header(&self) -> Header {
        Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.public.kid.clone()),
            ..Header::new(self.public.alg.into())
        }
    }

    /// A token with any header and claims.
    ///
    /// # Panics
    /// When they cannot be encoded.
    pub fn sign(&self, header: &Header, claims: &impl Serialize) -> String {
        encode(header, claims, &self.private).expect("a token")
    }

    /// A good token for `user_id`.
    pub fn token(&self, user_id: Uuid, now: Timestamp) -> String {
        self.sign(&self.header(), &self.claims(user_id, "test", now))
    }

    /// A good token for an admin.
    pub fn admin_token(&self, user_id: Uuid, now: Timestamp) -> String {
        let claims = Claims {
            roles: vec!["customer".to_owned(), "admin".to_owned()],
            ..self.claims(user_id, "admin", now)
        };
        self.sign(&self.header(), &claims)
    }
}

fn pem_of(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der))
}
