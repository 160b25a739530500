//! Who was active in which weeks, and the cohorts that they make up.
//!
//! A person's share of the cohorts is a function of the person's weeks (see [`Weeks`]). It changes in the transaction that
//! changes the weeks, on condition that they are as they were read: the cohorts are always what the people add up to, in
//! whatever order and however often events come.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::builders::ConditionCheckBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::json;
use shared::db::{DbError, Key, Transaction, TransactionError, from_item};
use tokio::task::JoinSet;
use tracing::Instrument as _;
use uuid::Uuid;

use super::cells::SHARDS;
use super::events::event_key;
use super::figures::cohort_partition;
use super::{ATTEMPTS, AnalyticsStore, contended, number, text};
use crate::bucket::{Bucket, day_of};
use crate::cohort::{Weeks, change, monday};
use crate::model::{AnonymousId, Event, Subject};

/// So many new weeks are written at a time: with a cohort's cells, a transaction holds them.
const WEEKS_AT_ONCE: usize = 5;
/// How long somebody is remembered after the last week that counts, in hours, where no user is known whose removal could be
/// asked for: two years.
const STRANGER_HOURS: i64 = 2 * 365 * 24;
/// So many people are written at a time.
const AT_ONCE: usize = 10;

#[derive(Debug, Default, Deserialize)]
struct PersonItem {
    weeks: BTreeSet<Date>,
}

#[derive(Debug, Deserialize)]
struct AliasItem {
    pk: String,
    user_id: Uuid,
}

/// Somebody was there in these weeks, each as an event says.
#[derive(Debug, Clone, Default)]
struct Visit {
    user: Option<Uuid>,
    anonymous: Option<AnonymousId>,
    weeks: BTreeMap<Date, String>,
}

impl AnalyticsStore {
    /// Notes who was there when, and which anonymous ids are whose: those that came with a user, the first one for good. What
    /// the shop does to an order is no activity of the customer.
    pub(crate) async fn attend(&self, events: &[Event]) -> Result<(), DbError> {
        let mut visits: BTreeMap<(Option<Uuid>, Option<&str>), Visit> = BTreeMap::new();
        for event in events.iter().filter(|event| !event.name.is_reserved() || event.name.stage().is_some()) {
            let anonymous = event.anonymous_id.as_ref();
            let visit = visits.entry((event.user_id, anonymous.map(AnonymousId::as_str))).or_default();
            visit.user = event.user_id;
            visit.anonymous = anonymous.cloned();
            visit.weeks.entry(monday(day_of(event.at))).or_insert_with(|| event.id.clone());
        }
        visits.remove(&(None, None));

        // One task per person, as far as can be told, lest they get in each other's way. Users first: they make the aliases.
        let (users, strangers): (Vec<Visit>, Vec<Visit>) = self
            .unknown(visits.into_values().collect())
            .await?
            .into_iter()
            .partition(|visit| visit.user.is_some());
        let mut people: BTreeMap<Option<Uuid>, Vec<Visit>> = BTreeMap::new();
        for visit in users {
            people.entry(visit.user).or_default().push(visit);
        }
        self.visit_all(people.into_values().collect()).await?;
        self.visit_all(strangers.into_iter().map(|visit| vec![visit]).collect()).await
    }

    /// The visits that say anything new: most say that somebody is there who was there already this week.
    async fn unknown(&self, visits: Vec<Visit>) -> Result<Vec<Visit>, DbError> {
        let anonymous: BTreeSet<&str> =
            visits.iter().filter_map(|visit| visit.anonymous.as_ref()).map(AnonymousId::as_str).collect();
        let keys: Vec<Key> = anonymous.iter().map(|id| alias_key(id)).collect();
        let mut aliases = BTreeMap::new();
        for item in self.table.get_many(&keys).await? {
            let AliasItem { pk, user_id } = from_item(item)?;
            aliases.insert(pk, user_id);
        }
        let mut subjects = BTreeMap::new();
        let visits = visits.into_iter().filter_map(|visit| {
            let alias = visit.anonymous.as_ref().and_then(|id| aliases.get(&alias_key(id.as_str()).pk));
            let links = visit.user.is_some() && visit.anonymous.is_some() && alias.is_none();
            let key = person_key(&visit.subject(alias.copied())?);
            subjects.insert(key.pk.clone(), key.clone());
            Some((links, key.pk, visit))
        });
        let visits: Vec<_> = visits.collect();
        let mut people: BTreeMap<String, Weeks> = BTreeMap::new();
        for item in self.table.get_many(&subjects.into_values().collect::<Vec<_>>()).await? {
            if let Some(pk) = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned() {
                people.insert(pk, from_item::<PersonItem>(item)?.weeks.into_iter().collect());
            }
        }
        let news = visits.into_iter().filter(|(links, pk, visit)| {
            let known = people.get(pk).cloned().unwrap_or_default();
            *links || with(&known, visit.weeks.keys()) != known
        });
        Ok(news.map(|(_, _, visit)| visit).collect())
    }

    async fn visit_all(&self, people: Vec<Vec<Visit>>) -> Result<(), DbError> {
        let mut people = people.into_iter();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < AT_ONCE
                && let Some(visits) = people.next()
            {
                let store = self.clone();
                let work = async move {
                    for visit in visits {
                        store.visit(visit).await?;
                    }
                    Ok::<_, DbError>(())
                };
                tasks.spawn(work.in_current_span());
            }
            match tasks.join_next().await {
                None => return Ok(()),
                Some(Ok(outcome)) => outcome?,
                Some(Err(error)) => return Err(DbError::Refused(error.into())),
            }
        }
    }

    async fn visit(&self, mut visit: Visit) -> Result<(), DbError> {
        while !visit.weeks.is_empty() {
            let rest = visit.weeks.keys().nth(WEEKS_AT_ONCE).copied();
            let rest = rest.map(|first| visit.weeks.split_off(&first)).unwrap_or_default();
            self.visit_some(&mut visit).await?;
            visit.weeks = rest;
        }
        Ok(())
    }

    /// Writes the person with some more weeks, the alias where it is new, and what that changes of the cohorts.
    async fn visit_some(&self, visit: &mut Visit) -> Result<(), DbError> {
        for _ in 0..ATTEMPTS {
            let alias = match &visit.anonymous {
                Some(id) => {
                    self.table.get::<AliasItem>(&alias_key(id.as_str())).await?.map(|alias| alias.user_id)
                }
                None => None,
            };
            let Some(subject) = visit.subject(alias) else { return Ok(()) };
            let link = visit.anonymous.clone().zip(visit.user).filter(|_| alias.is_none());
            let person = self.weeks(&subject).await?;
            // Whoever was a stranger so far turns out to be this user.
            let stranger = match &link {
                Some((id, _)) => self.weeks(&Subject::Anonymous(id.clone())).await?,
                None => Weeks::default(),
            };
            let mut after = with(&person, visit.weeks.keys());
            after.add(stranger.iter());
            if visit.weeks.is_empty() || (link.is_none() && after == person) {
                return Ok(());
            }

            let mut transaction = Transaction::new(self.table.client());
            let mut checks = BTreeMap::new();
            for (week, event) in &visit.weeks {
                // What was removed must not come back by an event that a stream brings once more.
                let still_theirs =
                    |check: ConditionCheckBuilder| check.condition_expression("attribute_exists(subject)");
                checks.insert(*week, transaction.add(self.table.check(&event_key(event), still_theirs)?));
            }
            transaction.add(self.person_write(&subject, &person, &after)?);
            match (&link, &visit.anonymous) {
                (Some((id, user)), _) => {
                    transaction.add(self.alias_put(id, *user)?);
                    transaction.add(self.stranger_delete(id, &stranger)?);
                }
                (None, Some(id)) if visit.user.is_none() => {
                    transaction.add(self.alias_check(id, alias)?);
                }
                _ => {}
            }
            let shard = subject.to_string().bytes().fold(0_u8, u8::wrapping_add) % SHARDS;
            for ((week, later), by) in change([&person, &stranger], [&after]) {
                let key = Key::new(cohort_partition(week), format!("{later:03}#{shard}"));
                transaction.add(self.table.update_write(&key, |update| {
                    let update = update.update_expression("ADD people :by");
                    update.expression_attribute_values(":by", number(by))
                })?);
            }
            match transaction.run().await {
                Ok(()) => return Ok(()),
                Err(TransactionError::Cancelled(cancelled)) => {
                    visit
                        .weeks
                        .retain(|week, _| !checks.get(week).is_some_and(|check| cancelled.failed(*check)));
                }
                Err(TransactionError::Db(error)) => return Err(error),
            }
        }
        Err(contended())
    }
}

impl AnalyticsStore {
    async fn weeks(&self, subject: &Subject) -> Result<Weeks, DbError> {
        let person = self.table.get::<PersonItem>(&person_key(subject)).await?.unwrap_or_default();
        Ok(person.weeks.into_iter().collect())
    }

    /// Writes the person, who must be as `before`.
    fn person_write(
        &self,
        subject: &Subject,
        before: &Weeks,
        after: &Weeks,
    ) -> Result<TransactWriteItem, DbError> {
        let mut item = person_key(subject).attributes();
        item.insert("weeks".to_owned(), set(after));
        if let (Subject::Anonymous(_), Some(last)) = (subject, after.iter().next_back()) {
            let expires_at = Bucket::Day(last).start().as_second() + STRANGER_HOURS * 3600;
            item.insert("expires_at".to_owned(), number(expires_at));
        }
        let put = Put::builder().table_name(self.table.name()).set_item(Some(item));
        let put = if before.is_empty() {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("weeks = :before").expression_attribute_values(":before", set(before))
        };
        let put = put.build().map_err(|error| DbError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Takes out the stranger, who must be as `before`.
    fn stranger_delete(&self, id: &AnonymousId, before: &Weeks) -> Result<TransactWriteItem, DbError> {
        let key = person_key(&Subject::Anonymous(id.clone()));
        self.table.delete_write(&key, |delete| {
            if before.is_empty() {
                delete.condition_expression("attribute_not_exists(pk)")
            } else {
                delete
                    .condition_expression("weeks = :before")
                    .expression_attribute_values(":before", set(before))
            }
        })
    }

    fn alias_put(&self, id: &AnonymousId, user: Uuid) -> Result<TransactWriteItem, DbError> {
        let alias = json!({ "user_id": user, "subject": Subject::User(user).to_string(), "at": ALIAS_AT });
        self.table.put_write(&alias_key(id.as_str()), &alias, "attribute_not_exists(pk)")
    }

    /// The anonymous id must still be of this user, or of none.
    fn alias_check(&self, id: &AnonymousId, user: Option<Uuid>) -> Result<TransactWriteItem, DbError> {
        self.table.check(&alias_key(id.as_str()), |check| match user {
            None => check.condition_expression("attribute_not_exists(pk)"),
            Some(user) => check
                .condition_expression("user_id = :user")
                .expression_attribute_values(":user", text(user.to_string())),
        })
    }
}

impl Visit {
    /// Whose weeks they are.
    fn subject(&self, alias: Option<Uuid>) -> Option<Subject> {
        let anonymous = || self.anonymous.clone().map(Subject::Anonymous);
        self.user.or(alias).map(Subject::User).or_else(anonymous)
    }
}

fn with<'a>(weeks: &Weeks, more: impl IntoIterator<Item = &'a Date>) -> Weeks {
    let mut weeks = weeks.clone();
    weeks.add(more.into_iter().copied());
    weeks
}

fn set(weeks: &Weeks) -> AttributeValue {
    AttributeValue::Ss(weeks.iter().map(|week| week.to_string()).collect())
}

pub(super) fn person_key(subject: &Subject) -> Key {
    Key::new(format!("PERSON#{subject}"), "PERSON")
}

pub(super) fn alias_key(id: &str) -> Key {
    Key::new(format!("{ALIAS}{id}"), "ALIAS")
}

/// What the partition keys of aliases begin with.
pub(super) const ALIAS: &str = "ALIAS#";

/// What stands in an alias where events have their time: in the index it comes after all of them.
pub(super) const ALIAS_AT: &str = "ALIAS";

#[cfg(test)]
mod tests;
