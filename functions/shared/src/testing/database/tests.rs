//! The helpers themselves: a fault that strikes nothing, and a meter that counts nothing, would prove nothing.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use serde_json::{Value, json};

use super::*;
use crate::db::{DbError, Key, Transaction, TransactionError};

/// Every call fails.
const ALWAYS: Faults = Faults { seed: 1, per_mille: 1000 };

async fn database() -> (Database, Table) {
    let database = Database::new(&["OrderTable", "PaymentTable"]).await;
    let table = database.table("OrderTable");
    database.take_capacity();
    (database, table)
}

fn key(number: usize) -> Key {
    Key::new("TEST", format!("{number:03}"))
}

async fn transact(table: &Table, number: usize) -> Result<(), TransactionError> {
    let mut transaction = Transaction::new(table.client());
    transaction.add(table.put_write(&key(number), &json!({}), "attribute_not_exists(pk)")?);
    transaction.add(table.put_write(&key(number + 500), &json!({}), "attribute_not_exists(pk)")?);
    transaction.run().await
}

#[tokio::test]
async fn calls_fail_before_and_after_they_took_effect_in_every_way() {
    let (database, table) = database().await;
    database.faults(Some(ALWAYS));
    for number in 0..200 {
        let error = table.put(&key(number), &json!({})).await.unwrap_err();
        assert!(matches!(error, DbError::Unavailable(_) | DbError::Conflict), "{error:?}");
        let error = transact(&table, number + 200).await.unwrap_err();
        let TransactionError::Db(error) = error else { panic!("{error:?}") };
        assert!(matches!(error, DbError::Unavailable(_) | DbError::Conflict), "{error:?}");
        let error = table.get::<Value>(&key(number)).await.unwrap_err();
        assert!(matches!(error, DbError::Unavailable(_)), "{error:?}");
    }
    let struck: BTreeSet<String> = database.struck().into_iter().collect();
    for (operation, fault) in [
        ("PutItem", "Before(TimeOut)"),
        ("PutItem", "After(TimeOut)"),
        ("PutItem", "After(BrokenConnection)"),
        ("PutItem", "InternalServerError"),
        ("PutItem", "ProvisionedThroughputExceededException"),
        ("PutItem", "ThrottlingException"),
        ("PutItem", "TransactionConflictException"),
        ("TransactWriteItems", "TransactionConflict"),
        ("TransactWriteItems", "ThrottlingError"),
        ("GetItem", "Before(BrokenConnection)"),
    ] {
        let strikes = |struck: &String| struck.starts_with(operation) && struck.contains(fault);
        assert!(struck.iter().any(strikes), "{operation} {fault} in {struck:#?}");
    }
    database.faults(None);
    // At least one of three attempts took effect, of seven cases out of eight; not in all.
    let left = database.items::<Value>("OrderTable").await.len();
    assert!((200..590).contains(&left), "{left}");
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_is_written_once_and_succeeds() {
    let (database, table) = database().await;
    let mut succeeded = 0;
    for seed in 0..200 {
        database.faults(Some(Faults { seed, per_mille: 300 }));
        let number = usize::try_from(seed).unwrap();
        match transact(&table, number).await {
            Ok(()) => succeeded += 1,
            // Never that its own first attempt stands in its way: the attempts carry one ClientRequestToken.
            Err(TransactionError::Db(error)) => {
                assert!(matches!(error, DbError::Unavailable(_) | DbError::Conflict), "{error:?}");
            }
            Err(TransactionError::Cancelled(cancelled)) => panic!("{cancelled:?}"),
        }
    }
    assert!((150..200).contains(&succeeded), "{succeeded}");
}

/// What [`Transaction::run`] relies on when it tries again after a conflict.
#[tokio::test]
async fn a_cancelled_transaction_is_tried_anew_under_its_token() {
    let (_database, table) = database().await;
    table.put(&key(1), &json!({})).await.unwrap();
    let write = table.put_write(&key(1), &json!({"new": true}), "attribute_not_exists(pk)").unwrap();
    let again =
        || table.client().transact_write_items().transact_items(write.clone()).client_request_token("t");
    again().send().await.unwrap_err();
    table.delete(&key(1)).await.unwrap();
    again().send().await.unwrap();
    let item: Value = table.get(&key(1)).await.unwrap().unwrap();
    assert_eq!(item["new"], true);
    table.delete(&key(1)).await.unwrap();
    again().send().await.unwrap();
    assert_eq!(table.get::<Value>(&key(1)).await.unwrap(), None, "but what was written is not written twice");
}

#[tokio::test]
async fn the_same_seed_is_the_same_faults() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let (database, table) = database().await;
        database.faults(Some(Faults { seed, per_mille: 500 }));
        for number in 0..50 {
            let _failed = table.put(&key(number), &json!({})).await;
            let _failed = table.get::<Value>(&key(number)).await;
        }
        runs.push(database.struck());
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn no_fault_strikes_where_none_is_asked_for() {
    let (database, table) = database().await;
    for setting in [Some(Faults { seed: 1, per_mille: 0 }), None] {
        database.faults(setting);
        for number in 0..50 {
            table.put(&key(number), &json!({})).await.unwrap();
        }
        assert_eq!(database.struck(), [""; 0]);
    }
}

#[tokio::test]
async fn a_batch_leaves_keys_over_and_loses_none() {
    let (database, table) = database().await;
    for number in 0..10 {
        table.put(&key(number), &json!({})).await.unwrap();
    }
    let mut left_over = 0;
    for seed in 0..100 {
        database.faults(Some(Faults { seed, per_mille: 500 }));
        let keys: Vec<_> = (0..10).map(|number| key(number).attributes()).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).build().unwrap();
        let call = table.client().batch_get_item().request_items(table.name(), wanted);
        let Ok(output) = call.send().await else { continue };
        let found = output.responses().unwrap()[table.name()].len();
        let left = output.unprocessed_keys().and_then(|left| left.get(table.name()));
        let left = left.map_or(0, |left| left.keys().len());
        assert_eq!(found + left, 10);
        left_over += left;
    }
    assert!(left_over > 5, "{left_over}");
}

#[tokio::test]
async fn calls_cost_what_dynamodb_says() {
    let (database, table) = database().await;
    let cost = |round_trips, read_units, write_units| Capacity { round_trips, read_units, write_units };
    let big = "x".repeat(2_000);

    table.put(&key(1), &json!({})).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 0.0, 1.0));
    table.put(&key(2), &json!({"a": big})).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 0.0, 2.0), "a unit per begun kilobyte");
    let _item: Option<Value> = table.get(&key(1)).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 1.0, 0.0));
    let _none: Option<Value> = table.get(&key(999)).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 1.0, 0.0), "nothing costs as much");
    table.page::<Value>("TEST", "0", &crate::page::PageQuery::default()).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 1.0, 0.0), "a query pays for what it reads in all");
    transact(&table, 3).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 0.0, 4.0), "a transaction pays twice");
    table.delete(&key(1)).await.unwrap();
    assert_eq!(database.take_capacity(), cost(1, 0.0, 1.0));
    assert_eq!(database.take_capacity(), Capacity::default(), "told once");
}

#[tokio::test]
async fn an_index_costs_what_it_stores() {
    let (database, _) = database().await;
    let table = database.table("PaymentTable");
    let in_flight = |since: &str| json!({"in_flight_pk": "IN_FLIGHT", "in_flight_since": since});
    table.put(&key(1), &in_flight("2026-01-01T00:00:00.000Z")).await.unwrap();
    assert!((database.take_capacity().write_units - 2.0).abs() < 0.1, "the item and its entry");
    table.put(&key(1), &in_flight("2026-01-02T00:00:00.000Z")).await.unwrap();
    assert!((database.take_capacity().write_units - 3.0).abs() < 0.1, "an entry that moves is two writes");
    let mut transaction = Transaction::new(table.client());
    let other = |update: aws_sdk_dynamodb::types::builders::UpdateBuilder| {
        let remove = update.update_expression("REMOVE in_flight_pk SET done = :done");
        remove.expression_attribute_values(":done", AttributeValue::Bool(true))
    };
    transaction.add(table.update_write(&key(1), other).unwrap());
    transaction.run().await.unwrap();
    let cost = database.take_capacity();
    // DynamoDB Local says 8.
    assert!(
        !database.is_embedded() || (cost.write_units - 3.0).abs() < 0.1,
        "the item twice, its entry once: {cost:?}"
    );
}

#[tokio::test]
async fn an_attempt_whose_answer_is_lost_is_a_round_trip() {
    let (database, table) = database().await;
    database.lose_answers("PutItem", 0..1);
    table.put(&key(1), &json!({})).await.unwrap();
    let cost = database.take_capacity();
    assert_eq!(cost.round_trips, 2, "{cost:?}");
}
