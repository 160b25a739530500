//! Whom a function believes that it speaks with AWS.

use std::fs;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use crate::config::{ConfigError, Env};

/// The roots of Amazon Trust Services, all that AWS's endpoints have: <https://www.amazontrust.com/repository/>. Those of the system,
/// some 150, would have to be read and parsed at each start.
const AMAZON: &[u8] = include_bytes!("trust/amazon.crt");

/// The variable that names other roots, a PEM file, for all SDKs alike; such as Lambda's `/etc/pki/tls/certs/ca-bundle.crt`.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>
const VARIABLE: &str = "AWS_CA_BUNDLE";

/// Amazon's roots, or those in the file that `AWS_CA_BUNDLE` names.
#[derive(Debug, Clone)]
pub(super) struct Trust(TlsContext);

impl Trust {
    pub(super) fn new(env: &Env) -> Result<Self, ConfigError> {
        let invalid = |reason: String| ConfigError::Invalid { name: VARIABLE.to_owned(), reason };
        let roots = match env.optional(VARIABLE) {
            Some(path) => {
                fs::read(path).map_err(|error| invalid(format!("{path} cannot be read: {error}")))?
            }
            None => AMAZON.to_vec(),
        };
        if !String::from_utf8_lossy(&roots).contains("-----BEGIN CERTIFICATE-----") {
            return Err(invalid("the file must hold certificates, PEM".to_owned()));
        }
        let store = TrustStore::empty().with_pem_certificate(roots);
        let context = TlsContext::builder().with_trust_store(store).build();
        context.map(Self).map_err(|error| invalid(error.to_string()))
    }

    /// The client of `builder` for what is at `endpoint`, or where AWS is. A plain-HTTP endpoint needs no roots.
    pub(super) fn client(&self, builder: Builder, endpoint: Option<&str>) -> SharedHttpClient {
        if endpoint.is_some_and(|url| url.starts_with("http://")) {
            return builder.build_http();
        }
        builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(self.0.clone()).build_https()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use jiff::{SignedDuration, Timestamp};

    use crate::clock::Clock;

    use super::*;

    /// DER of the certificates in the file.
    fn certificates() -> Vec<Vec<u8>> {
        let text = str::from_utf8(AMAZON).unwrap();
        let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
        let body = |text: &str| text.split("-----END").next().unwrap().split_whitespace().collect::<String>();
        bodies.map(|text| STANDARD.decode(body(text)).unwrap()).collect()
    }

    /// `notAfter`: the second time in a certificate, as `YYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5.1).
    fn not_after(certificate: &[u8]) -> Timestamp {
        let times =
            certificate.windows(15).filter(|window| window.starts_with(&[0x17, 13]) && window[14] == b'Z');
        let time = times.skip(1).map(|window| str::from_utf8(&window[2..]).unwrap()).next().unwrap();
        let pairs: Vec<_> = (0..6).map(|pair| &time[2 * pair..2 * pair + 2]).collect();
        format!("20{}-{}-{}T{}:{}:{}Z", pairs[0], pairs[1], pairs[2], pairs[3], pairs[4], pairs[5])
            .parse()
            .unwrap()
    }

    #[test]
    fn the_roots_are_those_that_the_world_trusts_and_last_two_years_at_least() {
        let certificates = certificates();
        assert_eq!(certificates.len(), 5);
        for certificate in certificates {
            assert!(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().any(|known| **known == *certificate));
            let left = not_after(&certificate).duration_since(Clock::system().now());
            assert!(left > SignedDuration::from_hours(2 * 365 * 24), "see amazontrust.com for its successor");
        }
    }

    #[test]
    fn a_bundle_that_is_none_is_told_at_start() {
        for (path, told) in [("/nowhere/at/all", "cannot be read"), ("/dev/null", "must hold certificates")] {
            let error = Trust::new(&Env::of([(VARIABLE, path)])).unwrap_err().to_string();
            assert!(error.contains(VARIABLE) && error.contains(told), "{error}");
        }
        Trust::new(&Env::default()).unwrap();
    }
}
