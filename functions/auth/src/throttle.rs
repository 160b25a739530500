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
mod tests;
