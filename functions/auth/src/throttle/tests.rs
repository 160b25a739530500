//! The throttle over a table, by a clock that the tests move.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::Value;
use shared::testing::Database;
use shared::token::RevocationLog;

use super::*;

const HOME: &str = "192.0.2.1";

struct Test {
    throttle: Throttle,
    clock: Clock,
    database: Database,
}

async fn test() -> Test {
    let clock = Clock::fixed("2026-01-01T00:00:00.000250Z".parse().unwrap());
    let database = Database::new(&["AuthTable", "AuthOutboxTable", "RevocationTable"]).await;
    let table = |name| database.table(name);
    let log = RevocationLog::new(table("RevocationTable"));
    let store = AuthStore::new(table("AuthTable"), table("AuthOutboxTable"), log);
    Test { throttle: Throttle::new(store, clock.clone()), clock, database }
}

fn at(address: &str) -> ClientAddress {
    ClientAddress(Some(address.parse().unwrap()))
}

/// The `n`th address of a botnet.
fn elsewhere(n: u32) -> String {
    format!("198.18.{}.{}", n / 256, n % 256)
}

impl Test {
    /// A wrong guess: how long to wait where it was refused.
    async fn guess(&self, name: &str, address: &str) -> Result<(), i64> {
        self.throttle.login(name, at(address)).await.map(|_| ()).map_err(|problem| seconds(&problem))
    }

    async fn right(&self, name: &str, address: &str) -> Result<(), i64> {
        let permit = self.throttle.login(name, at(address)).await.map_err(|problem| seconds(&problem))?;
        permit.give_back().await;
        Ok(())
    }

    /// How many wrong guesses in a row are let through.
    async fn guesses(&self, name: &str, address: &str) -> i32 {
        let mut count = 0;
        while count < 1_000 && self.guess(name, address).await.is_ok() {
            count += 1;
        }
        count
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

/// What the 429 says in its header.
fn seconds(problem: &Problem) -> i64 {
    use axum::response::IntoResponse as _;
    let response = problem.clone().into_response();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let headers: &HeaderMap = response.headers();
    headers[RETRY_AFTER].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_address_has_a_few_guesses_at_a_name_and_then_one_at_a_time() {
    let test = test().await;
    assert_eq!(test.guesses("alice", HOME).await, 10);
    let wait = test.guess("alice", HOME).await.unwrap_err();
    assert_eq!(wait, 60);
    test.wait(wait - 1);
    assert_eq!(test.guess("alice", HOME).await, Err(1), "a second early is early");
    test.wait(1);
    test.guess("alice", HOME).await.expect("Retry-After is when it goes on");
    test.guess("alice", HOME).await.unwrap_err();
    test.wait(10 * 60);
    assert_eq!(test.guesses("ALICE", HOME).await, 10, "in any case");
    assert_eq!(test.guesses("bob", HOME).await, 10, "each name for itself");
}

/// Against a token bucket as one would write it down: some tokens, and time that brings more.
#[tokio::test]
async fn a_bucket_in_the_table_is_a_token_bucket() {
    let test = test().await;
    let bucket = Bucket::new(Kind::NameAndAddress, Subject::NameAt("alice", at(HOME)));
    let Rate { burst, every } = bucket.kind.rate();
    let (full, token) = (i128::from(burst) * every.as_micros(), every.as_micros());
    let mut level = full;
    let mut random = 1_u64;
    let (mut yes, mut no) = (0, 0);
    for _ in 0..600 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Up to half a token's time, seldom a long rest.
        let most = if random >> 60 == 0 { 20 } else { 1 };
        let pause = SignedDuration::from_micros(i64::try_from(random >> 32).unwrap() % (30_000_000 * most));
        test.clock.advance(pause);
        level = full.min(level + pause.as_micros());
        let now = test.clock.now();
        if (random >> 8).is_multiple_of(8) {
            test.throttle.store.give_back(&bucket).await.unwrap();
            level = full.min(level + token);
            continue;
        }
        let take = test.throttle.store.take(&bucket, now).await.unwrap();
        assert_eq!(take.taken, level >= token, "{level}");
        level -= if take.taken { token } else { 0 };
        let wait = bucket.kind.rate().wait(take.full_at, now);
        assert_eq!(wait.as_micros(), (token - level).max(0));
        *(if take.taken { &mut yes } else { &mut no }) += 1;
    }
    assert!(yes > 200 && no > 50, "{yes} {no}");
}

#[tokio::test]
async fn simultaneous_attempts_take_what_there_is_and_no_more() {
    let test = test().await;
    let at_once = async || {
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let throttle = test.throttle.clone();
            attempts.spawn(async move { throttle.login("alice", at(HOME)).await.is_ok() });
        }
        attempts.join_all().await.into_iter().filter(|through| *through).count()
    };
    assert_eq!(at_once().await, 10, "from a bucket that was never used");
    test.wait(3 * 60);
    assert_eq!(at_once().await, 3, "from one that is not full");
    test.wait(10 * 60);
    assert_eq!(at_once().await, 10, "from one that is full again");
}

#[tokio::test]
async fn one_address_does_not_use_up_a_name() {
    let test = test().await;
    for hour in 0..8 {
        for _ in 0..12 {
            let _guess = test.guess("alice", "198.18.0.1").await;
        }
        // Her phone has another address each time.
        test.right("alice", &elsewhere(hour + 2)).await.expect("the owner gets in at once");
        test.wait(3600);
    }
}

#[tokio::test]
async fn an_attack_from_everywhere_keeps_nobody_out() {
    let test = test().await;
    test.right("alice", HOME).await.unwrap();
    let mut guesses = 0;
    for n in 0..100 {
        guesses += i32::from(test.guess("alice", &elsewhere(n)).await.is_ok());
    }
    assert_eq!(guesses, 20);

    for _ in 0..20 {
        test.right("alice", HOME).await.expect("the name's bucket does not count at home");
    }
    let wait =
        test.right("alice", "203.0.113.9").await.expect_err("nor is an address known to be hers elsewhere");
    assert_eq!(wait, 30);
    test.wait(wait);
    test.right("alice", "203.0.113.9").await.expect("as fast as the name's bucket fills");
    test.right("alice", "203.0.113.9").await.expect("and then it is known");
}

#[tokio::test]
async fn guesses_at_an_account_are_as_many_as_promised() {
    let in_a_day = |kind: Kind| {
        let Rate { burst, every } = kind.rate();
        i64::from(burst) + 24 * 60 * 60 / every.as_secs()
    };
    assert_eq!((in_a_day(Kind::Name), in_a_day(Kind::KnownLogin)), (20 + 2880, 10 + 2880));

    let test = test().await;
    test.right("alice", HOME).await.unwrap();
    let (mut unknown, mut known) = (0, 0);
    for minute in 0..30 {
        // Three addresses are enough to empty the name's bucket.
        for n in 0..3 {
            unknown += test.guesses("alice", &elsewhere(3 * minute + n)).await;
        }
        // Somebody behind the same router.
        known += test.guesses("alice", HOME).await;
        test.wait(60);
    }
    assert_eq!((unknown, known), (20 + 58, 10 + 58), "in half an hour, less the last minute");
}

#[tokio::test]
async fn honest_use_is_not_limited() {
    let test = test().await;
    for n in 0..45 {
        let name = format!("user-{}", n % 3);
        test.right(&name, "127.0.0.1").await.expect("more logins than a name has tokens here");
    }
    let items: Vec<Value> = test.database.items("AuthTable").await;
    assert_eq!(items.len(), 3 * 3 + 1);
    let now = test.clock.now().as_microsecond();
    assert!(items.iter().all(|item| item["full_at"].as_i64() <= Some(now)), "each bucket is full: {items:?}");
}

#[tokio::test]
async fn logging_in_oneself_earns_no_guesses_at_others() {
    let test = test().await;
    let from = Bucket::new(Kind::Address, Subject::Address(at("198.18.0.1")));
    for guesses in 1..20 {
        test.guess(&format!("victim-{guesses}"), "198.18.0.1").await.unwrap();
        test.right(&format!("mallory-{guesses}"), "198.18.0.1").await.unwrap();
        let now = test.clock.now();
        let full_at = test.throttle.store.look(&from, now).await.unwrap().full_at;
        assert_eq!(full_at, now + Kind::Address.rate().every() * guesses);
    }
}

#[tokio::test]
async fn an_address_is_known_for_thirty_days_after_the_last_login() {
    let test = test().await;
    let day = 24 * 60 * 60;
    test.right("alice", HOME).await.unwrap();
    test.wait(29 * day);
    test.right("alice", HOME).await.unwrap();
    test.wait(29 * day);
    for n in 0..30 {
        let _guess = test.guess("alice", &elsewhere(n)).await;
    }
    test.right("alice", HOME).await.expect("known");
    test.wait(30 * day);
    for n in 0..30 {
        let _guess = test.guess("alice", &elsewhere(n)).await;
    }
    test.right("alice", HOME).await.expect_err("forgotten, though the item may still be there");

    test.throttle.know("alice", at(HOME)).await;
    test.right("alice", HOME).await.expect("a token from a mail makes it known too");
}

#[tokio::test]
async fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
    let address = |text: &str| Bucket::new(Kind::Address, Subject::Address(at(text))).digest;
    assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));

    let test = test().await;
    let nowhere = || test.throttle.take(Kind::PasswordForgot, Subject::Address(ClientAddress(None)));
    for _ in 0..3 {
        nowhere().await.unwrap();
    }
    nowhere().await.expect_err("requests from nowhere share a bucket");
}

#[tokio::test]
async fn what_is_typed_as_a_name_is_only_kept_as_a_hash() {
    let test = test().await;
    for name in ["hunter2", "", "no such name can be", &"x".repeat(60_000)] {
        assert_eq!(test.guesses(name, HOME).await, 10);
    }
    let items: Vec<Value> = test.database.items("AuthTable").await;
    assert_eq!(items.len(), 1 + 2 * 4);
    let items = format!("{items:?}");
    assert!(!items.contains("hunter2") && !items.contains(HOME) && items.len() < 10_000, "{items}");
}

#[tokio::test]
async fn a_lost_answer_costs_a_token_at_most_and_gives_none() {
    let test = test().await;
    test.throttle.store.take(&bucket(), test.clock.now()).await.unwrap();
    test.database.lose_answers("UpdateItem", 0..1);
    let take = test.throttle.store.take(&bucket(), test.clock.now()).await.unwrap();
    assert!(take.taken);
    let mut left = 0;
    while test.throttle.store.take(&bucket(), test.clock.now()).await.unwrap().taken {
        left += 1;
    }
    assert!((7..=8).contains(&left), "{left}");
}

fn bucket() -> Bucket {
    Bucket::new(Kind::NameAndAddress, Subject::NameAt("alice", at(HOME)))
}

#[tokio::test]
async fn while_the_table_fails_nobody_may_try() {
    let test = test().await;
    test.database.lose_answers("UpdateItem", 0..100);
    let problem = test.throttle.login("alice", at(HOME)).await.unwrap_err();
    assert!(problem.to_string().starts_with("503"), "{problem}");
    let problem = test.throttle.take(Kind::Registration, Subject::Address(at(HOME))).await.unwrap_err();
    assert!(problem.to_string().starts_with("503"), "{problem}");
}

#[tokio::test]
async fn a_permit_that_cannot_be_given_back_fails_nothing() {
    let test = test().await;
    let permit = test.throttle.login("alice", at(HOME)).await.unwrap();
    test.database.lose_answers("UpdateItem", 0..100);
    permit.give_back().await;
}
