//! The key pair that signs and verifies tokens locally.
//!
//! `keys/private.pem` and `keys/public.pem` are used where they are (keys/README.md says how to make them with OpenSSL),
//! and made where they are not. The *next* pair, which a rotation would promote, is kept with the local state.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKey};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::{Value, json};

const PRIVATE: &str = "private.pem";
const PUBLIC: &str = "public.pem";
const NEXT: &str = "next.pem";

/// The pair that signs now and the one that will.
#[derive(Debug)]
pub struct Keys {
    current: Pair,
    next: Pair,
}

impl Keys {
    /// Reads the pair in `keys` and the next one in `state`; makes what is missing.
    ///
    /// A public key that is missing is derived from the private one; one that belongs to another private key is an error,
    /// as is a key of less than 2048 bits (RFC 7518 §3.3).
    pub fn load_or_make(keys: &Path, state: &Path) -> Result<Self> {
        fs::create_dir_all(keys).with_context(|| format!("cannot create {}", keys.display()))?;
        fs::create_dir_all(state).with_context(|| format!("cannot create {}", state.display()))?;
        let current = Pair::load_or_make(&keys.join(PRIVATE))?;
        current.check_public(&keys.join(PUBLIC))?;
        Ok(Self { current, next: Pair::load_or_make(&state.join(NEXT))? })
    }

    /// The id of the current key.
    pub fn kid(&self) -> &str {
        &self.current.kid
    }

    /// The document of the *signing key* secret: both private keys.
    pub fn signing_secret(&self) -> Value {
        json!({ "current": self.current.signing(), "next": self.next.signing() })
    }

    /// The document of the *verification keys* secret: both public keys, and who issues tokens for whom.
    pub fn verification_secret(&self, issuer: &str) -> Value {
        json!({ "issuer": issuer, "audience": issuer, "keys": [self.current.jwk(), self.next.jwk()] })
    }
}

#[derive(Debug)]
struct Pair {
    pem: String,
    public: PublicKey,
    kid: String,
}

impl Pair {
    fn load_or_make(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(pem) => {
                keep_private(path)?;
                Self::parse(pem).with_context(|| format!("cannot use {}", path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pair = KeyPair::generate(KeySize::Rsa2048).context("cannot generate a key")?;
                let der: Pkcs8V1Der<'_> = pair.as_der().context("cannot encode the new key")?;
                let pem = encode("PRIVATE KEY", der.as_ref());
                if create(path, &pem, 0o600)? {
                    return Self::parse(pem);
                }
                // Somebody else made one meanwhile: use that.
                Self::load_or_make(path)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn parse(pem: String) -> Result<Self> {
        let parsed = pem::parse(&pem).context("not a PEM file")?;
        let pair = match parsed.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(parsed.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(parsed.contents()),
            "ENCRYPTED PRIVATE KEY" => bail!("the key is encrypted; make one without a passphrase"),
            other => bail!("it holds a {other}, not an RSA private key (PKCS#1 or PKCS#8)"),
        };
        let pair = pair.ok().context("not a valid RSA private key of 2048 to 8192 bits")?;
        let public = pair.public_key().clone();
        let kid = thumbprint(&public);
        Ok(Self { pem, public, kid })
    }

    /// Sees to it that the file holds the public half of this pair.
    fn check_public(&self, path: &Path) -> Result<()> {
        let der: PublicKeyX509Der<'_> = self.public.as_der().context("cannot encode the public key")?;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(path, &encode("PUBLIC KEY", der.as_ref()), 0o644)?;
                return Ok(());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let found = pem::parse(text).with_context(|| format!("{} is not a PEM file", path.display()))?;
        let expected = match found.tag() {
            "RSA PUBLIC KEY" => self.public.as_ref(),
            _ => der.as_ref(),
        };
        if found.contents() != expected {
            bail!(
                "{} does not belong to {PRIVATE} beside it; delete it, and it is made again from the private key",
                path.display()
            );
        }
        Ok(())
    }

    fn signing(&self) -> Value {
        json!({ "kid": self.kid, "alg": "RS256", "private_key": self.pem })
    }

    fn jwk(&self) -> Value {
        let (n, e) = components(&self.public);
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e })
    }
}

/// Modulus and exponent as RFC 7518 §6.3.1 writes them.
fn components(key: &PublicKey) -> (String, String) {
    let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    (
        encode(key.modulus().big_endian_without_leading_zero()),
        encode(key.exponent().big_endian_without_leading_zero()),
    )
}

/// RFC 7638: SHA-256 of the required members, in this order and spelling.
fn thumbprint(key: &PublicKey) -> String {
    let (n, e) = components(key);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()))
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// Creates the file whole and with its mode, or not at all; `false` when there is one already.
fn create(path: &Path, text: &str, mode: u32) -> Result<bool> {
    let draft = path.with_extension(format!("{}.pem", std::process::id()));
    let _leftover = fs::remove_file(&draft);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&draft, path));
    let _removed = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}

/// Takes from group and others what an `openssl` with a lax umask gave them.
fn keep_private(path: &Path) -> Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .with_context(|| format!("cannot make {} private", path.display()))?;
    }
    Ok(())
}
