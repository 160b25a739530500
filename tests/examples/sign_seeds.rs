//! Makes the seeds of the fuzz target `token` anew, with a key of their own that nobody keeps: `cargo run --example sign_seeds`.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use shared::testing::Issuer;
use uuid::Uuid;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let now: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let issuer = Issuer::generate();
    fs::write(
        seeds.join("token.keys.json"),
        serde_json::to_string_pretty(&issuer.verification_keys())? + "\n",
    )?;
    fs::remove_dir_all(seeds.join("token"))?;
    fs::create_dir(seeds.join("token"))?;
    let good = ("good", format!("Bearer {}", issuer.token(Uuid::from_u128(1), now)));
    let header = ("header", serde_json::to_string(&issuer.header())?);
    let bad = issuer.bad_authorizations(Uuid::from_u128(1), now);
    let own = [good, header].map(|(what, text)| (what.to_owned(), text));
    for (what, authorization) in bad.into_iter().chain(own) {
        let name: String = what.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        fs::write(seeds.join("token").join(name), authorization)?;
    }
    Ok(())
}
