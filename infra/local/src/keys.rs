//! The key pair that signs and verifies tokens locally.
//!
//! `keys/private.pem` and `keys/public.pem` are used where they are (keys/README.md says how to make them with OpenSSL),
//! and made where they are not. The *next* pair, which a rotation would promote, is kept with the local state.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use auth::keys::{SigningSecret, StoredKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKey as RsaPublicKey, PublicKeyComponents};
use aws_lc_rs::signature::KeyPair as _;
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::{Value, json};
use shared::token::{Algorithm, PublicKey, PublishedKey, VerificationKeys};

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
        &self.current.published.kid
    }

    /// The document of the *signing key* secret: both private keys.
    pub fn signing_secret(&self) -> Value {
        json!(SigningSecret { current: self.current.stored(), next: Some(self.next.stored()) })
    }

    /// The document of the *verification keys* secret: both public keys, and who issues tokens for whom.
    pub fn verification_secret(&self, issuer: &str) -> Value {
        json!(VerificationKeys {
            issuer: issuer.to_owned(),
            audience: issuer.to_owned(),
            keys: vec![self.current.published.clone(), self.next.published.clone()],
        })
    }
}

#[derive(Debug)]
struct Pair {
    pem: String,
    public: RsaPublicKey,
    published: PublishedKey,
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
        let components = PublicKeyComponents::<Vec<u8>>::from(&public);
        let published = PublishedKey::new(Algorithm::Rs256, PublicKey::rsa(&components.n, &components.e));
        Ok(Self { pem, public, published })
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

    fn stored(&self) -> StoredKey {
        let PublishedKey { kid, alg, .. } = self.published.clone();
        StoredKey { kid, alg, private_key: self.pem.clone() }
    }
}

/// Writes a private key where [`Keys::load_or_make`] would look for it, instead of the one that is there.
pub(crate) fn write_private(keys: &Path, pem: &str) -> Result<()> {
    fs::create_dir_all(keys).with_context(|| format!("cannot create {}", keys.display()))?;
    let path = keys.join(PRIVATE);
    let _absent = fs::remove_file(&path);
    create(&path, pem, 0o600).map(|_created| ())
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
