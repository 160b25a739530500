//! A yardstick, the floor: the least that a function can do which verifies an RS256 token in each event, by hand, over blocking
//! sockets. Nobody would write, or maintain, a service like this.

#![expect(clippy::disallowed_methods, reason = "the least that is possible")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    headers: Headers<'a>,
}

#[derive(Deserialize)]
struct Headers<'a> {
    authorization: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    username: String,
    exp: u64,
}

struct Verifier {
    key: ParsedPublicKey,
    issuer: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name| std::env::var(name);
    let der: String = variable("PUBLIC_KEY")?.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, STANDARD.decode(der)?)?;
    let verifier = Verifier { key, issuer: variable("ISSUER")? };
    let host = variable("AWS_LAMBDA_RUNTIME_API")?;
    let mut stream = TcpStream::connect(&host)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
    let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {host}\r\n\r\n");
    loop {
        stream.write_all(next.as_bytes())?;
        let (id, event) = receive(&mut reader)?;
        let answer = verifier.handle(&event).unwrap_or_else(|| json!({"statusCode": 401})).to_string();
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all((head + &answer).as_bytes())?;
        receive(&mut reader)?;
    }
}

impl Verifier {
    fn handle(&self, event: &[u8]) -> Option<serde_json::Value> {
        let event: Event<'_> = serde_json::from_slice(event).ok()?;
        let token = event.headers.authorization.strip_prefix("Bearer ")?;
        let (message, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key.verify_sig(message.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        if claims.iss != self.issuer || claims.aud != self.issuer || claims.exp <= now {
            return None;
        }
        let body = json!({"user_id": claims.sub, "username": claims.username}).to_string();
        Some(json!({"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}))
    }
}

/// The request's id, if there is one, and the body of what the Runtime API answers.
fn receive(reader: &mut BufReader<TcpStream>) -> Result<(String, Vec<u8>), Box<dyn Error>> {
    let (mut id, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err("the Runtime API is gone".into());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line == "\r\n" {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("Content-Length") {
            length = value.parse()?;
        } else if name.eq_ignore_ascii_case("Lambda-Runtime-Aws-Request-Id") {
            value.clone_into(&mut id);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((id, body))
}
