//! Rotations that are repeated, that die, that meet each other, and the tokens that stay good meanwhile.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::testing::{Issuer, issuer};
use shared::token::{Algorithm, Verifier};
use uuid::Uuid;

use super::*;
use crate::signing::Signer;
use crate::testing::{FakeAws, SIGNING, VERIFICATION};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// The secrets, the rotation function, and a clock for all.
struct World {
    fake: FakeAws,
    clock: Clock,
    rotation: Rotation,
    first: String,
    second: String,
}

/// A running Auth function and a running service: with what they read when they started.
struct Running {
    signer: Signer,
    service: Arc<Verifier>,
}

impl World {
    /// Two keys on P-256, which are made faster than RSA keys, both published.
    async fn new() -> Self {
        let keys = [Issuer::generate_for(Algorithm::Es256), Issuer::generate_for(Algorithm::Es256)];
        let fake = FakeAws::new().await;
        let [current, next] = keys.each_ref().map(stored);
        fake.put(SIGNING, &json!({"current": current, "next": next}));
        let mut published = keys[0].verification_keys();
        published.keys.push(keys[1].public().clone());
        fake.put(VERIFICATION, &json!(published));
        let [first, second] = keys.map(|key| key.public().kid.clone());
        Self::over(fake, "ES256", first, second)
    }

    fn over(fake: FakeAws, algorithm: &str, first: String, second: String) -> Self {
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let env = fake.env([("SIGNING_ALGORITHM", algorithm)]);
        let client = Aws::new(&env).unwrap().secrets_manager();
        let rotation = Rotation::new(&env, &client, clock.clone()).unwrap();
        Self { fake, clock, rotation, first, second }
    }

    async fn step(&self, step: &str, token: &str) -> Result<(), RotationError> {
        let event =
            json!({"Step": step, "SecretId": SIGNING, "ClientRequestToken": token, "RotationToken": "x"});
        self.rotation.handle(&serde_json::from_value(event).unwrap()).await
    }

    /// The steps, until one fails.
    async fn steps(&self, token: &str) -> Result<(), RotationError> {
        for step in STEPS {
            self.step(step, token).await?;
        }
        Ok(())
    }

    async fn rotate(&self, token: &str) {
        self.fake.begin_rotation(token);
        self.steps(token).await.unwrap();
    }

    /// Starts Auth and a service.
    async fn start(&self) -> Running {
        let env = self.fake.env([]);
        let aws = Aws::new(&env).unwrap();
        let verifier = || async { Arc::new(Verifier::load(&env, &aws, self.clock.clone()).await.unwrap()) };
        let service = verifier().await;
        let signer = Signer::load(&env, aws.secrets_manager(), verifier().await, self.clock.clone());
        Running { signer: signer.await.unwrap(), service }
    }

    fn kid(&self, which: &str) -> Value {
        self.fake.secret(SIGNING)[which]["kid"].clone()
    }

    /// The published key ids, and whether each is retired.
    fn published(&self) -> Vec<(String, bool)> {
        let keys = self.fake.secret(VERIFICATION)["keys"].as_array().unwrap().clone();
        let key = |key: &Value| (key["kid"].as_str().unwrap().to_owned(), !key["not_after"].is_null());
        keys.iter().map(key).collect()
    }

    /// Whether what is held is published without an end, and nothing else is.
    fn is_tidy(&self) -> bool {
        let mut good: Vec<_> =
            self.published().into_iter().filter_map(|(kid, retired)| (!retired).then_some(kid)).collect();
        let mut held = ["current", "next"].map(|which| self.kid(which).as_str().unwrap().to_owned());
        good.sort();
        held.sort();
        good == held
    }
}

impl Running {
    async fn token(&self, clock: &Clock) -> String {
        self.signer.sign(&issuer().claims(Uuid::nil(), "mahindra", clock.now())).await.unwrap()
    }
}

fn is_read(call: &str) -> bool {
    call.starts_with("Get") || call.starts_with("Describe")
}

/// Each token is accepted by each service.
async fn accepted(tokens: &[String], services: &[&Running], what: &str) {
    for (number, token) in tokens.iter().enumerate() {
        for running in services {
            if let Err(refused) = running.service.verify(token).await {
                panic!("{what}: token {number}: {refused}");
            }
        }
    }
}

fn stored(issuer: &Issuer) -> Value {
    json!({"kid": issuer.public().kid, "alg": issuer.public().alg, "private_key": issuer.private_pem()})
}

#[tokio::test]
async fn next_becomes_current_and_the_old_key_is_retired_when_its_last_token_has_ended() {
    let world = World::new().await;
    let before = world.start().await;
    world.rotate("t1").await;
    let third = world.kid("next");
    assert_eq!(world.kid("current"), world.second);
    assert!(world.is_tidy());
    assert_eq!(
        world.published().iter().filter(|(_, retired)| *retired).collect::<Vec<_>>(),
        [&(world.first.clone(), true)]
    );
    assert_eq!(world.fake.version(SIGNING, "AWSPENDING"), None);

    // The function of before goes on signing with the old key until it looks again; its last token is good to its end.
    world.clock.advance(SignedDuration::from_secs(299));
    let last = [before.token(&world.clock).await];
    world.clock.advance(SignedDuration::from_secs(899));
    accepted(&last, &[&before, &world.start().await], "the last token of the old key").await;

    world.clock.advance(SignedDuration::from_mins(10));
    world.rotate("t2").await;
    assert_eq!(world.kid("current"), third);
    assert!(!world.published().iter().any(|(kid, _)| *kid == world.first), "it is gone");
}

/// The caller dies after each single call that changes something, whose answer it does not see (a death after another call
/// leaves the same behind); then the same rotation goes on, or another one begins. Nobody is ever refused and Auth always
/// starts.
#[tokio::test]
async fn a_rotation_may_die_anywhere() {
    let whole = World::new().await;
    whole.rotate("t1").await;
    let calls = whole.fake.calls();
    let changes: Vec<usize> = (1..=calls.len()).filter(|call| !is_read(&calls[call - 1])).collect();
    assert_eq!(
        changes.len(),
        7,
        "a pending version, what is published, the promotion, its label, the retirement: {calls:?}"
    );
    for next_token in ["t1", "t2"] {
        for &calls in &changes {
            let world = World::new().await;
            let what = format!("dead after {calls} calls, then {next_token}");
            let before = world.start().await;
            let mut tokens = vec![before.token(&world.clock).await];
            world.fake.begin_rotation("t1");
            world.fake.die_after(Some(calls));
            world.steps("t1").await.unwrap_err();
            world.fake.die_after(None);

            let between = world.start().await;
            for running in [&before, &between] {
                tokens.push(running.token(&world.clock).await);
            }
            accepted(&tokens, &[&before, &between], &what).await;

            world.clock.advance(SignedDuration::from_mins(4));
            if next_token != "t1" {
                world.fake.begin_rotation(next_token);
            }
            if let Err(error) = world.steps(next_token).await {
                panic!("{what}: {}", Chain(&error));
            }
            assert!(world.is_tidy(), "{what}: {:?}", world.published());
            assert_ne!(world.kid("current"), world.first, "{what}");
            let after = world.start().await;
            let all = [&before, &between, &after];
            for running in all {
                tokens.push(running.token(&world.clock).await);
            }
            accepted(&tokens, &all, &what).await;
            world.clock.advance(SignedDuration::from_secs(659));
            accepted(&tokens, &all, &what).await;
        }
    }
}

#[tokio::test]
async fn rotations_at_the_same_time_leave_one_good_state() {
    let world = World::new().await;
    let before = world.start().await;
    let mut tokens = vec![before.token(&world.clock).await];
    world.fake.begin_rotation("t1");
    // The same rotation three times, and another that takes its place.
    let other = async {
        tokio::task::yield_now().await;
        world.fake.begin_rotation("t2");
        world.steps("t2").await
    };
    let outcomes = tokio::join!(world.steps("t1"), world.steps("t1"), world.steps("t1"), other);
    let between = world.start().await;
    tokens.push(between.token(&world.clock).await);
    accepted(&tokens, &[&before, &between], &format!("{outcomes:?}")).await;
    world.clock.advance(SignedDuration::from_mins(1));
    world.rotate("t3").await;
    assert!(world.is_tidy());
    tokens.push(world.start().await.token(&world.clock).await);
    accepted(&tokens, &[&before, &between], "afterwards").await;
}

#[tokio::test]
async fn the_same_steps_at_the_same_time_are_one_rotation() {
    let world = World::new().await;
    world.fake.begin_rotation("t1");
    for step in STEPS {
        let (one, two, three) =
            tokio::join!(world.step(step, "t1"), world.step(step, "t1"), world.step(step, "t1"));
        one.and(two).and(three).unwrap();
    }
    assert_eq!(world.kid("current"), world.second);
    assert!(world.is_tidy());
    // And once more, long afterwards.
    let (signing, published) = (world.fake.secret(SIGNING), world.fake.secret(VERIFICATION));
    for step in STEPS {
        world.step(step, "t1").await.unwrap();
    }
    assert_eq!((world.fake.secret(SIGNING), world.fake.secret(VERIFICATION)), (signing, published));
}

#[tokio::test]
async fn a_secret_without_next_gets_one_and_keeps_its_key() {
    let world = World::new().await;
    let mut uploaded = world.fake.secret(SIGNING);
    uploaded.as_object_mut().unwrap().remove("next");
    world.fake.put(SIGNING, &uploaded);
    world.rotate("t1").await;
    assert_eq!(world.kid("current"), world.first);
    let next = world.kid("next");
    assert!(world.is_tidy());
    world.clock.advance(SignedDuration::from_mins(1));
    world.rotate("t2").await;
    assert_eq!(world.kid("current"), next);
}

#[tokio::test]
async fn another_algorithm_is_a_matter_of_two_rotations() {
    let fake = FakeAws::new().await;
    let keys = [Issuer::generate(), Issuer::generate()];
    fake.put(SIGNING, &json!({"current": stored(&keys[0]), "next": stored(&keys[1])}));
    let mut published = keys[0].verification_keys();
    published.keys.push(keys[1].public().clone());
    fake.put(VERIFICATION, &json!(published));
    let world = World::over(fake, "ES256", keys[0].public().kid.clone(), keys[1].public().kid.clone());
    let before = world.start().await;
    let mut tokens = vec![before.token(&world.clock).await];
    for (rotation, algorithm) in [("t1", "RS256"), ("t2", "ES256")] {
        world.rotate(rotation).await;
        assert_eq!(world.fake.secret(SIGNING)["current"]["alg"], algorithm);
        tokens.push(world.start().await.token(&world.clock).await);
        world.clock.advance(SignedDuration::from_mins(1));
        accepted(&tokens, &[&before], algorithm).await;
    }
}

#[tokio::test]
async fn steps_out_of_order_say_so_and_change_nothing() {
    let world = World::new().await;
    world.fake.begin_rotation("t1");
    let (signing, published) = (world.fake.secret(SIGNING), world.fake.secret(VERIFICATION));
    let refused = async |step: &str, token: &str, expected: &str| {
        let error = world.step(step, token).await.unwrap_err();
        let message = Chain(&error).to_string();
        assert!(message.contains(expected) && !message.contains("PRIVATE"), "{step}: {message}");
    };
    for step in &STEPS[1..] {
        refused(step, "stranger", "is not pending").await;
    }
    refused("setSecret", "t1", "is not pending").await;
    refused("finishSecret", "t1", "is not pending").await;
    world.step("createSecret", "t1").await.unwrap();
    refused("testSecret", "t1", "unknown key").await;
    refused("finishSecret", "t1", "setSecret comes first").await;
    assert_eq!((world.fake.secret(SIGNING), world.fake.secret(VERIFICATION)), (signing, published));

    world.fake.begin_rotation("t2");
    for step in STEPS {
        refused(step, "t1", "is not pending").await;
    }
    let event = json!({"Step": "createSecret", "SecretId": VERIFICATION, "ClientRequestToken": "t"});
    let error = world.rotation.handle(&serde_json::from_value(event).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("and no other"), "{error}");
}

#[tokio::test]
async fn the_test_alone_tries_the_configuration() {
    let world = World::new().await;
    world.fake.begin_rotation("empty");
    world.step("testSecret", "empty").await.unwrap();
    world.fake.fill("copy", &world.fake.secret(SIGNING));
    world.step("testSecret", "copy").await.unwrap();
    world.fake.fill("strange", &json!({"current": stored(&Issuer::generate_for(Algorithm::Es256))}));
    let error = world.step("testSecret", "strange").await.unwrap_err();
    assert!(error.to_string().contains("is not accepted"), "{error}");
}

#[tokio::test]
async fn keys_uploaded_during_a_rotation_end_it_and_the_next_one_goes_on_from_them() {
    let world = World::new().await;
    world.fake.begin_rotation("t1");
    world.step("createSecret", "t1").await.unwrap();
    let own = Issuer::generate_for(Algorithm::Es256);
    let mut published = own.verification_keys();
    published.keys.push(serde_json::from_value(world.fake.secret(VERIFICATION)["keys"][0].clone()).unwrap());
    world.fake.put(VERIFICATION, &json!(published));
    world.fake.put(SIGNING, &json!({"current": stored(&own)}));
    let error = world.step("setSecret", "t1").await.unwrap_err().to_string();
    assert!(error.contains("another current version"), "{error}");
    assert_eq!(world.fake.version(SIGNING, "AWSPENDING"), None, "a new rotation may begin");
    world.rotate("t2").await;
    assert_eq!(world.kid("current"), own.public().kid);
    assert!(world.is_tidy());
}

#[tokio::test]
async fn a_secret_that_holds_no_keys_is_named_and_not_shown() {
    for (name, content, expected) in [
        (
            SIGNING,
            json!({"current": {"kid": "hush", "alg": "ES256", "private_key": "hush"}}),
            "does not hold usable signing keys",
        ),
        (SIGNING, json!("hush"), "not a JSON object"),
        (
            VERIFICATION,
            json!({"issuer": "i", "audience": "a", "keys": ["hush"]}),
            "does not hold verification keys",
        ),
    ] {
        let world = World::new().await;
        world.fake.put(name, &content);
        world.fake.begin_rotation("t1");
        let message = Chain(&world.steps("t1").await.unwrap_err()).to_string();
        assert!(
            message.contains(expected) && message.contains(name) && !message.contains("hush"),
            "{message}"
        );
    }
}
