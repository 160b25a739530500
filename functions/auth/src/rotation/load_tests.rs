//! Three rotations, seconds apart and minutes apart, while clients log in at Auth and call services: none is ever refused.

use std::collections::VecDeque;

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use shared::aws::Aws;
use shared::testing::{Issuer, call};
use shared::token::{Algorithm, Verifier};

use super::*;
use crate::testing::{App, FakeAws, SIGNING, VERIFICATION};

/// How far the clock moves between two moments of the test.
const MOMENT: SignedDuration = SignedDuration::from_secs(24);

/// A token, and the moment from which it is refused.
struct Issued {
    token: String,
    expires_at: Timestamp,
}

struct Load {
    clock: Clock,
    fake: FakeAws,
    auths: Vec<App>,
    services: Vec<Verifier>,
    issued: VecDeque<Issued>,
    logins: usize,
    kids: Vec<String>,
}

impl Load {
    async fn service(&self) -> Verifier {
        let env = self.fake.env([]);
        Verifier::load(&env, &Aws::new(&env).unwrap(), self.clock.clone()).await.unwrap()
    }

    /// A login at this instance of Auth, whose token each of `services` accepts.
    async fn login(&mut self, auth: usize, services: &[usize]) {
        let body = json!({"username": "mahindra"});
        let answer = call(Method::POST, "/login").json(&body).send(&self.auths[auth].router).await;
        let answer = answer.expect(StatusCode::OK);
        let token = answer.json["access_token"].as_str().unwrap().to_owned();
        let seconds = answer.json["expires_in"].as_i64().unwrap();
        let issued = Issued { token, expires_at: self.clock.now() + SignedDuration::from_secs(seconds) };
        self.call(&issued.token, services, "a new token").await;
        self.issued.push_back(issued);
        self.logins += 1;
    }

    async fn call(&self, token: &str, services: &[usize], what: &str) {
        for &service in services {
            if let Err(refused) = self.services[service].verify(token).await {
                panic!("{what}, at {} by service {service}: {refused}", self.clock.now());
            }
        }
    }

    /// One moment passes: two logins, and calls with new tokens, with some in between, and with those about to expire.
    async fn moment(&mut self, number: usize, busy: &[usize], idle: &[usize]) {
        self.login(number % 2, busy).await;
        // What is called and logged into once in a while has old copies of everything.
        if number.is_multiple_of(20) {
            self.login(2, idle).await;
        }
        let current = self.fake.secret(SIGNING)["current"]["kid"].as_str().unwrap().to_owned();
        if self.kids.last() != Some(&current) {
            self.kids.push(current);
        }
        let middle = &self.issued[number % self.issued.len()].token;
        self.call(middle, busy, "a token").await;
        let next = self.clock.now() + MOMENT;
        while self.issued.front().is_some_and(|issued| issued.expires_at <= next) {
            let last = self.issued.pop_front().unwrap();
            self.call(&last.token, busy, "a token about to expire").await;
        }
        self.clock.advance(MOMENT);
    }
}

#[tokio::test]
async fn nobody_is_refused_while_keys_rotate_under_load() {
    let keys = [Issuer::generate_for(Algorithm::Es256), Issuer::generate_for(Algorithm::Es256)];
    let fake = FakeAws::new().await;
    let [current, next] = keys.each_ref().map(
        |key| json!({"kid": key.public().kid, "alg": key.public().alg, "private_key": key.private_pem()}),
    );
    fake.put(SIGNING, &json!({"current": current, "next": next}));
    let mut published = keys[0].verification_keys();
    published.keys.push(keys[1].public().clone());
    fake.put(VERIFICATION, &json!(published));

    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let mut auths = Vec::new();
    for _ in 0..3 {
        let auth = App::over(&fake, &clock).await;
        auth.seed_demo("mahindra", &[]).await;
        auths.push(auth);
    }
    let env = fake.env([("SIGNING_ALGORITHM", "ES256")]);
    let client = Aws::new(&env).unwrap().secrets_manager();
    let rotation = Rotation::new(&env, &client, clock.clone()).unwrap();
    let mut load = Load {
        clock,
        fake: fake.clone(),
        auths,
        services: Vec::new(),
        issued: VecDeque::new(),
        logins: 0,
        kids: Vec::new(),
    };
    // Six services whose copies of the keys are of six ages, and two that are hardly ever called.
    for _ in 0..8 {
        let service = load.service().await;
        load.services.push(service);
        load.clock.advance(SignedDuration::from_secs(41));
    }
    let (busy, idle) = ([0, 1, 2, 3, 4, 5], [6, 7]);

    // Three rotations in one go, then one after twenty minutes; and what the last one left is used for as long again.
    let rotate = async |rotations: &[&str]| {
        for token in rotations {
            fake.begin_rotation(token);
            for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
                let event = json!({"Step": step, "SecretId": SIGNING, "ClientRequestToken": token});
                rotation.handle(&serde_json::from_value(event).unwrap()).await.unwrap();
            }
        }
    };
    let mut number = 0;
    for rotations in [["t1", "t2", "t3"].as_slice(), &["t4"]] {
        let mut rotating = std::pin::pin!(rotate(rotations));
        let mut rotated = false;
        for _ in 0..57 {
            let moment = load.moment(number, &busy, &idle);
            if rotated {
                moment.await;
            } else {
                tokio::pin!(moment);
                rotated = tokio::select! {
                    biased;
                    () = &mut rotating => { moment.await; true }
                    () = &mut moment => false,
                };
            }
            number += 1;
        }
        assert!(rotated, "the rotations ended");
    }
    // How many of the keys in between get to sign depends on how fast the machine is.
    assert!(load.kids.len() >= 3, "the keys changed under the load: {:?}", load.kids);
    assert!(load.logins >= 114);
}
