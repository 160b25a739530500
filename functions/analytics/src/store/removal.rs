//! Removing what is known of a user.

use aws_sdk_dynamodb::types::AttributeValue;
use shared::db::{DbError, Item, Key, retry_conflicts};
use shared::text::Text;
use tokio::task::JoinSet;
use tracing::Instrument as _;
use uuid::Uuid;

use super::events::EVENT;
use super::people::{ALIAS, ALIAS_AT, person_key};
use super::{AnalyticsStore, text};
use crate::model::Subject;

/// So many items are changed at a time.
const AT_ONCE: usize = 20;

/// What tells who did an event: whatever is not here tells nobody from another.
const PERSONAL: [&str; 6] = ["subject", "user_id", "anonymous_id", "device", "properties", "order_id"];

/// How far a removal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// How many items it removed, or made anonymous.
    pub removed: usize,
    /// Whether there was no more to do.
    pub complete: bool,
}

impl AnalyticsStore {
    /// Removes what is known of a user, and of the clients that turned out to be this user's, up to so many items.
    ///
    /// Of raw events what is personal is taken away, and the bare event is left to expire: it counts once, or has counted, and
    /// the same event that comes again must find that it was there. The index by which they are found lags by less than a
    /// second: what came just before may be left.
    pub async fn remove_user(&self, user: Uuid, at_most: usize) -> Result<Removal, DbError> {
        let subject = Subject::User(user);
        let mut removal = Removal { removed: 0, complete: false };
        if !self.strip(&subject, at_most, &mut removal).await? {
            return Ok(removal);
        }
        // The alias goes last: it is what leads to the rest.
        loop {
            let (aliases, more) = self.about(&subject, at_most, true).await?;
            for alias in &aliases {
                let Some(id) = alias.pk.strip_prefix(ALIAS).and_then(|id| Text::try_from(id.to_owned()).ok())
                else {
                    continue;
                };
                let stranger = Subject::Anonymous(id);
                if removal.removed >= at_most || !self.strip(&stranger, at_most, &mut removal).await? {
                    return Ok(removal);
                }
                for key in [&person_key(&stranger), alias] {
                    removal.removed += usize::from(self.table.delete(key).await?);
                }
            }
            if !more {
                break;
            }
        }
        removal.removed += usize::from(self.table.delete(&person_key(&subject)).await?);
        removal.complete = true;
        Ok(removal)
    }

    /// Makes the events about somebody anonymous, as long as `removal` is below `at_most`; whether it came to their end.
    async fn strip(&self, subject: &Subject, at_most: usize, removal: &mut Removal) -> Result<bool, DbError> {
        loop {
            let left = at_most.saturating_sub(removal.removed);
            if left == 0 {
                return Ok(false);
            }
            let (keys, more) = self.about(subject, left, false).await?;
            for keys in keys.chunks(AT_ONCE) {
                let mut tasks = JoinSet::new();
                for key in keys {
                    let (store, key) = (self.clone(), key.clone());
                    tasks.spawn(async move { store.strip_event(&key).await }.in_current_span());
                }
                for stripped in tasks.join_all().await {
                    removal.removed += usize::from(stripped?);
                }
            }
            if !more {
                return Ok(true);
            }
        }
    }

    /// Whether there was anything to take away.
    async fn strip_event(&self, key: &Key) -> Result<bool, DbError> {
        let (mut names, mut expression) = (Vec::new(), Vec::new());
        for (index, attribute) in PERSONAL.iter().enumerate() {
            names.push((format!("#a{index}"), (*attribute).to_owned()));
            expression.push(format!("#a{index}"));
        }
        let expression = format!("REMOVE {}", expression.join(", "));
        let outcome = retry_conflicts(|| async {
            let update = self.table.client().update_item().table_name(self.table.name());
            let update = update
                .set_key(Some(key.attributes()))
                .update_expression(&expression)
                .condition_expression("attribute_exists(#a0)")
                .set_expression_attribute_names(Some(names.iter().cloned().collect()));
            update.send().await?;
            Ok(())
        })
        .await;
        match outcome {
            Ok(()) => Ok(true),
            Err(DbError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The keys of up to so many events, or aliases, about somebody, and whether there are more.
    async fn about(
        &self,
        subject: &Subject,
        limit: usize,
        aliases: bool,
    ) -> Result<(Vec<Key>, bool), DbError> {
        let condition = if aliases {
            "subject = :subject AND #at = :alias"
        } else {
            "subject = :subject AND #at < :alias"
        };
        let query = self.table.client().query().table_name(self.table.name()).index_name("by_subject");
        let output = query
            .key_condition_expression(condition)
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":subject", text(subject.to_string()))
            .expression_attribute_values(":alias", text(ALIAS_AT))
            .limit(i32::try_from(limit.min(1000)).unwrap_or(1000))
            .send()
            .await?;
        let more = output.last_evaluated_key.is_some();
        let key = |item: Item| {
            let text =
                |name: &str| item.get(name).and_then(|value| AttributeValue::as_s(value).ok()).cloned();
            Some(Key::new(text("pk")?, text("sk")?))
        };
        let keys = output.items.unwrap_or_default().into_iter().filter_map(key);
        let prefix = if aliases { ALIAS } else { EVENT };
        Ok((keys.filter(|key| key.pk.starts_with(prefix)).collect(), more))
    }
}
