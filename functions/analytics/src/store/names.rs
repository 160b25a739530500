//! The names of clients' own making that are counted by name.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use shared::db::{DbError, Key, retry_conflicts};

use super::{AnalyticsStore, number};
use crate::model::EventName;

/// How many there may be: an item of totals has a number for each.
const MAX_NAMES: usize = 100;

#[derive(Deserialize)]
struct Names {
    names: BTreeSet<EventName>,
}

impl AnalyticsStore {
    /// The names that are counted by name, of which these are some as long as there is room. Once in, a name stays, and once
    /// there is no room, there never will be: whether an event counts by name is decided before it is counted first, for good.
    pub(crate) async fn claim_names(
        &self,
        wanted: &BTreeSet<EventName>,
    ) -> Result<BTreeSet<EventName>, DbError> {
        let key = Key::new("NAMES", "NAMES");
        let names = self.table.get::<Names>(&key).await?.map(|names| names.names).unwrap_or_default();
        if names.len() >= MAX_NAMES || wanted.is_subset(&names) {
            return Ok(names);
        }
        for name in wanted.difference(&names) {
            let added = retry_conflicts(|| async {
                let update = self.table.client().update_item().table_name(self.table.name());
                update
                    .set_key(Some(key.attributes()))
                    .update_expression("ADD #names :name")
                    .condition_expression("attribute_not_exists(#names) OR size(#names) < :max")
                    .expression_attribute_names("#names", "names")
                    .expression_attribute_values(":name", AttributeValue::Ss(vec![name.as_str().to_owned()]))
                    .expression_attribute_values(":max", number(MAX_NAMES))
                    .send()
                    .await?;
                Ok(())
            })
            .await;
            match added {
                Ok(()) => {}
                Err(DbError::ConditionFailed) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.table.get::<Names>(&key).await?.map(|names| names.names).unwrap_or_default())
    }
}
