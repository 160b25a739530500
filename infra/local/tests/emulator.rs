//! What `template.yaml` declares, in the real emulator: created once, kept, and kept over a restart.

#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, process};

use auth::rotation::Rotation;
use local::emulator::Emulator;
use local::keys::Keys;
use local::logs::Console;
use local::ports::Ports;
use local::process::Guard;
use local::provision::provision;
use local::tools::Tools;
use local::workspace::Workspace;
use local::{seed, watch};
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use template::Template;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn call(endpoint: &str, service: &str, target: &str, body: Value) -> Value {
    let credential = format!("AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/{service}/aws4_request");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(endpoint)
        .header("X-Amz-Target", target)
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("Authorization", format!("{credential}, SignedHeaders=host, Signature=0"))
        .body(body.to_string());
    let answer = answer.send().await.unwrap();
    assert!(answer.status().is_success(), "{target}: {}", answer.status());
    answer.json().await.unwrap()
}

async fn signing_kid(endpoint: &str) -> String {
    let body = json!({ "SecretId": "SigningKeySecret" });
    let secret = call(endpoint, "secretsmanager", "secretsmanager.GetSecretValue", body).await;
    let document: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap()).unwrap();
    document["current"]["kid"].as_str().unwrap().to_owned()
}

async fn rotate(environment: &watch::Environment) {
    let env = Env::of(environment.clone());
    let client = Aws::new(&env).unwrap().secrets_manager();
    let rotation = Rotation::new(&env, &client, Clock::system()).unwrap();
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let event =
            json!({ "Step": step, "SecretId": "SigningKeySecret", "ClientRequestToken": "a-rotation" });
        rotation.handle(&serde_json::from_value(event).unwrap()).await.unwrap();
    }
}

/// All items of all tables.
async fn all_items(endpoint: &str, template: &Template) -> Value {
    let mut tables = serde_json::Map::new();
    for table in template.tables() {
        let body = json!({ "TableName": table.logical_id });
        let found = call(endpoint, "dynamodb", "DynamoDB_20120810.Scan", body).await;
        let mut items: Vec<_> = found["Items"].as_array().unwrap().iter().map(ToString::to_string).collect();
        items.sort();
        tables.insert(table.logical_id.clone(), items.into());
    }
    tables.into()
}

#[tokio::test]
async fn what_the_template_declares_is_there_and_stays() {
    let scratch = Scratch(std::env::temp_dir().join(format!("local-emulator-{}", process::id())));
    let (keys_directory, state) = (scratch.0.join("keys"), scratch.0.join("state"));
    fs::create_dir_all(&state).unwrap();
    let workspace = Workspace::find().unwrap();
    let template = Template::load(&workspace.root, &BTreeMap::new()).unwrap();
    let guard = Guard::at(Path::new(env!("CARGO_BIN_EXE_local")).to_owned());
    let console = Console::file(&scratch.0.join("log")).unwrap();
    let tools = Tools::install(&workspace, &guard, &console).await.unwrap();
    let port = Ports::free(&template).unwrap().emulator;
    let keys = Keys::load_or_make(&keys_directory, &state).unwrap();

    let emulator = Emulator::start(&guard, &tools, port, &state).await.unwrap();
    let url = emulator.url.clone();
    provision(&template, &keys, "http://localhost:8000", &url, &state).await.unwrap();
    for table in template.tables() {
        let body = json!({ "TableName": table.logical_id });
        let found = call(&url, "dynamodb", "DynamoDB_20120810.DescribeTable", body.clone()).await;
        assert_eq!(found["Table"]["KeySchema"], table.create_table["KeySchema"], "{}", table.logical_id);
        assert_eq!(
            found["Table"].get("LatestStreamArn").is_some(),
            table.has_stream(),
            "{}",
            table.logical_id
        );
        let ttl = call(&url, "dynamodb", "DynamoDB_20120810.DescribeTimeToLive", body).await;
        let attribute = ttl["TimeToLiveDescription"]["AttributeName"].as_str();
        assert_eq!(attribute, table.ttl_attribute.as_deref(), "{}", table.logical_id);
    }
    for queue in template.queues() {
        let body = json!({ "QueueName": queue.logical_id });
        let found = call(&url, "sqs", "AmazonSQS.GetQueueUrl", body).await;
        let body = json!({ "QueueUrl": found["QueueUrl"], "AttributeNames": ["All"] });
        let found = call(&url, "sqs", "AmazonSQS.GetQueueAttributes", body).await;
        for (name, value) in &queue.attributes {
            assert_eq!(found["Attributes"][name], **value, "{name} of {}", queue.logical_id);
        }
    }
    let item = json!({ "TableName": "UserTable", "Item": { "pk": { "S": "x" }, "sk": { "S": "y" } } });
    call(&url, "dynamodb", "DynamoDB_20120810.PutItem", item).await;
    assert_eq!(signing_kid(&url).await, keys.kid());

    let environment = watch::environment(template.functions(), &url).unwrap();
    seed::seed(&environment).await.unwrap();
    let seeded = all_items(&url, &template).await;
    assert!(seeded.to_string().contains(seed::DEMO_USER));
    seed::seed(&environment).await.unwrap();
    assert_eq!(all_items(&url, &template).await, seeded, "seeding again changes nothing");

    // A rotation, by the steps that `auth-rotation` does; the next start must not undo it.
    rotate(&environment).await;
    let next = keys.signing_secret()["next"]["kid"].as_str().unwrap().to_owned();
    assert_eq!(signing_kid(&url).await, next);
    let body = json!({ "SecretId": "VerificationKeysSecret" });
    let published = call(&url, "secretsmanager", "secretsmanager.GetSecretValue", body).await;
    let published: Value = serde_json::from_str(published["SecretString"].as_str().unwrap()).unwrap();
    let retired = published["keys"].as_array().unwrap().iter().filter(|key| !key["not_after"].is_null());
    assert_eq!(retired.map(|key| key["kid"].as_str().unwrap()).collect::<Vec<_>>(), [keys.kid()]);
    assert_eq!(published["keys"].as_array().unwrap().len(), 3);
    drop(emulator);

    let emulator = Emulator::start(&guard, &tools, port, &state).await.unwrap();
    provision(&template, &keys, "http://localhost:8000", &url, &state).await.unwrap();
    let key = json!({ "TableName": "UserTable", "Key": { "pk": { "S": "x" }, "sk": { "S": "y" } } });
    let found = call(&url, "dynamodb", "DynamoDB_20120810.GetItem", key).await;
    assert_eq!(found["Item"]["pk"]["S"], "x", "data survives a restart");
    assert_eq!(signing_kid(&url).await, next);

    let text = fs::read_to_string(workspace.root.join("template.yaml")).unwrap();
    let renamed =
        Template::parse(&text.replace("IndexName: in_flight", "IndexName: other"), &BTreeMap::new()).unwrap();
    let error = provision(&renamed, &keys, "http://localhost:8000", &url, &state).await.unwrap_err();
    assert!(error.to_string().contains("--reset"), "other indexes than the tables have: {error:#}");

    // Another pair in keys/ is what its owner wants used.
    fs::remove_dir_all(&keys_directory).unwrap();
    let keys = Keys::load_or_make(&keys_directory, &state).unwrap();
    provision(&template, &keys, "http://localhost:8000", &url, &state).await.unwrap();
    assert_eq!(signing_kid(&url).await, keys.kid());
    drop(emulator);
}
