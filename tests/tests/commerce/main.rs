//! Cart, order and payment as one shop: what must hold whatever customers, admins, machines and the network do.
//!
//! `PROPTEST_CASES` says how many random stories are told (24 of each kind unless set), `PROPTEST_RNG_SEED` which ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod action;
mod books;
mod capacity;
mod history;
mod invariants;
mod provider;
mod request;
mod shop;
mod story;
