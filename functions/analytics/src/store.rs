//! Analytics' table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | raw event, deleted 90 days later by the attribute `expires_at`; index `by_subject`: `subject`, `at` | `EVENT#<event id>` | `EVENT` |
//! | figures of an hour (UTC) | `HOURS#<YYYY-MM-DD>` | `<part>#<HH>[#<product id>]#<shard>` |
//! | figures of a day (UTC) | `DAYS#<YYYY-MM>` | `<part>#<DD>[#<product id>]#<shard>` |
//! | custom names that are counted by name | `NAMES` | `NAMES` |
//! | weeks that somebody was active in | `PERSON#<subject>` | `PERSON` |
//! | user of a client's anonymous id; index `by_subject`: `subject`, `at` | `ALIAS#<anonymous id>` | `ALIAS` |
//! | cell of a cohort | `COHORT#<Monday>` | `<weeks later>#<shard>` |
//!
//! A part is `TOTALS`, `FUNNEL` or `PRODUCT`; a subject is `USER#<user id>` or `ANON#<anonymous id>`. Parts come before hours
//! and days, so that a query reads one part of just the time that it is about.
//!
//! A raw event is written once, on condition that its id is new, and has the attribute `applied` from the very transaction
//! that adds it to the figures (`applied_rest` for what is too much for one): figures are always what the events with the
//! mark add up to, whoever adds how often in whatever order. Figures, names and cohorts stay; they are about nobody.
//!
//! Figures are numbers, `e:<event's name>`, `r:<currency>` (revenue) and `f:<currency>` (refunds) of totals, `views`, `carts`,
//! `units` and `r:<currency>` of products; and sketches of people, `visitors` of totals, `s0` to `s3` of funnels.

mod apply;
pub(crate) mod cells;
mod events;
mod figures;
mod names;
mod people;
mod removal;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::db::{DbError, Table};

pub(crate) use events::EVENT;
pub use removal::Removal;

/// How often a write is tried whose condition somebody else's keeps breaking.
const ATTEMPTS: usize = 10;

/// The only way to Analytics' table.
#[derive(Debug, Clone)]
pub struct AnalyticsStore {
    table: Table,
}

impl AnalyticsStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Somebody else changed the same items all the time.
fn contended() -> DbError {
    DbError::Unavailable("others keep changing the same items".into())
}
