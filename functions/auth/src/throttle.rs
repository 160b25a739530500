//! Throttling: how many attempts there may be, by whom, at what.
//!
//! Each limit is a bucket that holds `burst` tokens and gets one more in each period `every`; an attempt takes one. The buckets
//! are in the table, so they hold whatever sandbox answers; each is one number, by the generic cell rate algorithm (ITU-T
//! I.371, annex A): the time at which the bucket will be full again.
//!
//! A login takes from three: of the name at this address, of the address, and of the name. Those of the address come
//! first, and are so much slower than the name's that one address can never empty it. Who logs in gets back what the
//! attempt took, so honest use is not limited. From an address from which the account was logged in to within 30 days, only
//! one bucket counts, which nobody elsewhere can take from: an attack, from however many addresses, does not lock the owner
//! out. Names count as they were typed, known or not: a 429 says nothing about who exists (ASVS 5.0 §6.1.1, §6.3.1).
//!
//! Wrong guesses at one account, in any 24 hours: 20 + 2880 from all unknown addresses together, and 10 + 2880 from each known
//! one. NIST SP 800-63B-4 §3.2.2 counts otherwise, at most 100 failures in a row and then the end; here there is no end,
//! because anyone could bring it about for anyone. A password that [`crate::passwords`] accepts takes more than 10^8
//! guesses, ninety years at this rate; those of a second factor have a slower bucket of their own.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::db::DbError;
use shared::http::ClientAddress;
use shared::problem::Problem;

use crate::security::Event;
use crate::store::{AuthStore, Take};

/// How long an address counts as known after a login from it.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a bucket limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Logins to a name from an address that is known to be its owner's.
    KnownLogin,
    /// Logins to a name from any one address.
    NameAndAddress,
    /// Logins to a name, from all addresses.
    Name,
    /// Logins from an address, to all names.
    Address,
    /// Codes of a second factor, by whoever knows the password.
    SecondFactor,
    /// Registrations from an address.
    Registration,
    /// Requests for a password reset, by the name or the e-mail address: each may send a mail.
    PasswordForgot,
    /// Requests for a password reset from an address.
    PasswordForgotFrom,
    /// Tries of a one-time token from an address.
    OneTimeToken,
    /// Mails that a user asks for to verify an address, by the user's id.
    VerificationMail,
    /// The same mails, by the address that they go to.
    VerificationMailTo,
}

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Tokens in a full bucket.
    burst: i32,
    /// The time in which one token comes back.
    every: SignedDuration,
}

/// One bucket. Whose it is, is only kept as a hash: people type passwords where names belong.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) kind: Kind,
    /// SHA-256, base64url.
    pub(crate) digest: String,
}

/// Whose bucket it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// Whatever was typed as a name, or another text that names somebody; case does not matter.
    Name(&'a str),
    /// Where the request comes from.
    Address(ClientAddress),
    /// Both.
    NameAt(&'a str, ClientAddress),
}

/// Takes from buckets.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    store: AuthStore,
    clock: Clock,
}

/// Leave to try a password once.
#[must_use = "whoever turns out to be right gets it back"]
#[derive(Debug)]
pub(crate) struct Permit {
    throttle: Throttle,
    taken: Vec<Bucket>,
    known: Bucket,
}

impl Kind {
    /// The kind's name in the table and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KnownLogin => "known_login",
            Self::NameAndAddress => "login_name_and_address",
            Self::Name => "login_name",
            Self::Address => "login_address",
            Self::SecondFactor => "second_factor",
            Self::Registration => "registration",
            Self::PasswordForgot => "password_forgot",
            Self::PasswordForgotFrom => "password_forgot_address",
            Self::OneTimeToken => "one_time_token",
            Self::VerificationMail => "verification_mail",
            Self::VerificationMailTo => "verification_mail_to",
        }
    }

    /// The limit of each bucket of this kind.
    pub(crate) fn rate(self) -> Rate {
        let rate = |burst, seconds| Rate { burst, every: SignedDuration::from_secs(seconds) };
        match self {
            Self::KnownLogin => rate(10, 30),
            Self::NameAndAddress => rate(10, 60),
            Self::Name => rate(20, 30),
            // A code is one of a million, and three are good at a time.
            Self::SecondFactor => rate(10, 600),
            // A company behind one address mistypes a lot; somebody who tries one password on many names, more.
            Self::Address => rate(600, 6),
            Self::Registration => rate(200, 15),
            Self::PasswordForgot | Self::VerificationMail => rate(3, 1800),
            Self::VerificationMailTo => rate(10, 1800),
            Self::PasswordForgotFrom => rate(50, 60),
            // Such a token cannot be guessed; this limits the work.
            Self::OneTimeToken => rate(100, 10),
        }
    }
}

impl Rate {
    /// What one token adds to the time at which the bucket is full.
    pub(crate) fn every(self) -> SignedDuration {
        self.every
    }

    /// A token can be taken at `now` while the bucket is full by this time.
    pub(crate) fn latest(self, now: Timestamp) -> Timestamp {
        now + self.every * (self.burst - 1)
    }

    /// How long after `now` a token can be taken from a bucket that is full at `full_at`; zero where one can at once.
    pub(crate) fn wait(self, full_at: Timestamp, now: Timestamp) -> SignedDuration {
        full_at.duration_since(self.latest(now)).max(SignedDuration::ZERO)
    }

    /// By when a bucket is full that is not taken from after `now`: what is kept longer says nothing.
    pub(crate) fn full_by(self, now: Timestamp) -> Timestamp {
        now + self.every * self.burst
    }
}

impl Bucket {
    /// The bucket of this subject.
    pub(crate) fn new(kind: Kind, subject: Subject<'_>) -> Self {
        let subject = match subject {
            Subject::Name(name) => folded(name),
            Subject::Address(ClientAddress(address)) => network(address),
            Subject::NameAt(name, ClientAddress(address)) => {
                format!("{}\n{}", network(address), folded(name))
            }
        };
        Self { kind, digest: URL_SAFE_NO_PAD.encode(digest(&SHA256, subject.as_bytes())) }
    }
}

/// As `Username::folded` has it, for what cannot be a user name too.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// What one client can choose its address from: whoever has one IPv6 address has the /64 around it (RFC 6177 §2).
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

impl Throttle {
    /// Buckets in this store, filling by this clock.
    pub(crate) fn new(store: AuthStore, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// One attempt of this kind: a 429 where there were too many, and no leave either while the table fails.
    pub(crate) async fn take(&self, kind: Kind, subject: Subject<'_>) -> Result<(), Problem> {
        let now = self.clock.now();
        let bucket = Bucket::new(kind, subject);
        let take = self.store.take(&bucket, now).await?;
        if take.taken {
            return Ok(());
        }
        let address = match subject {
            Subject::Name(_) => None,
            Subject::Address(address) | Subject::NameAt(_, address) => address.0,
        };
        Event::Throttled.entry().from(address).because(kind.name()).log();
        Err(too_many(kind.rate().wait(take.full_at, now)))
    }

    /// Gives back a token that [`take`](Self::take) took.
    pub(crate) async fn give_back(&self, kind: Kind, subject: Subject<'_>) {
        logged(self.store.give_back(&Bucket::new(kind, subject)).await);
    }

    /// One attempt at the password of `name`, which may be any text. [`Permit::give_back`] where it was right.
    pub(crate) async fn login(&self, name: &str, address: ClientAddress) -> Result<Permit, Problem> {
        let now = self.clock.now();
        let here = Subject::NameAt(name, address);
        let known = Bucket::new(Kind::KnownLogin, here);
        let refused = |kind: Kind, wait| {
            Event::Throttled.entry().from(address.0).because(kind.name()).log();
            Err(too_many(wait))
        };
        if let Some(take) = self.store.take_known(&known, now).await? {
            return if take.taken {
                Ok(Permit { throttle: self.clone(), taken: Vec::new(), known })
            } else {
                refused(known.kind, wait(&known, &take, now))
            };
        }

        let by_both = Bucket::new(Kind::NameAndAddress, here);
        let by_address = Bucket::new(Kind::Address, Subject::Address(address));
        let by_name = Bucket::new(Kind::Name, Subject::Name(name));
        let (both, from) = tokio::join!(self.store.take(&by_both, now), self.store.take(&by_address, now));
        let (both, from) = (both?, from?);
        // The name's comes last: what an address may not try must not take from everybody's.
        let name = if both.taken && from.taken {
            self.store.take(&by_name, now).await?
        } else {
            self.store.look(&by_name, now).await?
        };
        let all = [(by_both, both), (by_address, from), (by_name, name)];
        if let Some((bucket, _)) = all.iter().find(|(_, take)| !take.taken) {
            // The next attempt takes from all of them again.
            let longest = all.iter().map(|(bucket, take)| wait(bucket, take, now)).max();
            return refused(bucket.kind, longest.unwrap_or_default());
        }
        let taken = all.into_iter().map(|(bucket, _)| bucket).collect();
        Ok(Permit { throttle: self.clone(), taken, known })
    }

    /// Makes an address known as the owner's, who has proven to be there (by a login, or by a token from a mail). Failing
    /// costs the owner comfort under an attack and nothing else, so it fails nothing.
    pub(crate) async fn know(&self, name: &str, address: ClientAddress) {
        let known = Bucket::new(Kind::KnownLogin, Subject::NameAt(name, address));
        let now = self.clock.now();
        logged(self.store.know(&known, now, now + KNOWN_FOR, false).await);
    }
}

impl Permit {
    /// The attempt was right: the buckets get back what it took, and the address is known for another 30 days. A failure
    /// is logged and costs a token, not the login.
    pub(crate) async fn give_back(self) {
        let Self { throttle: Throttle { store, clock }, taken, known } = self;
        let now = clock.now();
        let knowing = store.know(&known, now, now + KNOWN_FOR, taken.is_empty());
        match taken.as_slice() {
            [a, b, c] => {
                let (a, b, c, known) =
                    tokio::join!(store.give_back(a), store.give_back(b), store.give_back(c), knowing);
                [a, b, c, known].into_iter().for_each(logged);
            }
            _ => logged(knowing.await),
        }
    }
}

fn logged(outcome: Result<(), DbError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = %shared::problem::Chain(&error), "a bucket was not given back to");
    }
}

fn wait(bucket: &Bucket, take: &Take, now: Timestamp) -> SignedDuration {
    bucket.kind.rate().wait(take.full_at, now)
}

/// The same for every bucket, and every name.
fn too_many(wait: SignedDuration) -> Problem {
    let whole = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
    let seconds = u64::try_from(whole).unwrap_or_default().max(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "There were too many attempts")
        .detail(format!("Try again in {seconds} seconds"))
        .retry_after(seconds)
}

#[cfg(test)]
mod tests {
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
            let pause =
                SignedDuration::from_micros(i64::try_from(random >> 32).unwrap() % (30_000_000 * most));
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
        let wait = test
            .right("alice", "203.0.113.9")
            .await
            .expect_err("nor is an address known to be hers elsewhere");
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
        assert!(
            items.iter().all(|item| item["full_at"].as_i64() <= Some(now)),
            "each bucket is full: {items:?}"
        );
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
        if !test.database.can_lose_answers() {
            return;
        }
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
        if !test.database.can_lose_answers() {
            return;
        }
        test.database.lose_answers("UpdateItem", 0..100);
        let problem = test.throttle.login("alice", at(HOME)).await.unwrap_err();
        assert!(problem.to_string().starts_with("503"), "{problem}");
        let problem = test.throttle.take(Kind::Registration, Subject::Address(at(HOME))).await.unwrap_err();
        assert!(problem.to_string().starts_with("503"), "{problem}");
    }

    #[tokio::test]
    async fn a_permit_that_cannot_be_given_back_fails_nothing() {
        let test = test().await;
        if !test.database.can_lose_answers() {
            return;
        }
        let permit = test.throttle.login("alice", at(HOME)).await.unwrap();
        test.database.lose_answers("UpdateItem", 0..100);
        permit.give_back().await;
    }
}
