//! A small template with everything that the real one may have, and the real one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const TEMPLATE: &str = include_str!("tests.yaml");

fn load(parameters: &[(&str, &str)]) -> Template {
    try_load(TEMPLATE, parameters).expect("a valid template")
}

fn try_load(text: &str, parameters: &[(&str, &str)]) -> Result<Template> {
    let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Template::parse(text, &parameters)
}

fn error(text: &str) -> String {
    format!("{:#}", try_load(text, &[]).expect_err("must be refused"))
}

#[test]
fn a_table_becomes_the_body_of_create_table() {
    let template = load(&[]);
    let order = template.table("OrderTable").expect("OrderTable");
    assert_eq!(
        order.create_table,
        json!({
            "TableName": "OrderTable",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                { "AttributeName": "pk", "AttributeType": "S" },
                { "AttributeName": "sk", "AttributeType": "S" },
            ],
            "KeySchema": [
                { "AttributeName": "pk", "KeyType": "HASH" },
                { "AttributeName": "sk", "KeyType": "RANGE" },
            ],
            "DeletionProtectionEnabled": false,
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
            "SSESpecification": { "Enabled": true, "SSEType": "KMS" },
        })
    );
    assert!(order.has_stream());
    assert_eq!(order.ttl_attribute.as_deref(), Some("expires_at"));
}

#[test]
fn a_function_has_the_globals_and_its_own_settings() {
    let template = load(&[("Stage", "prod")]);
    let auth = template.function("auth").expect("auth");
    assert_eq!(auth.logical_id, "AuthFunction");
    assert_eq!(auth.local_port, Some(8000));
    assert_eq!(auth.timeout, Duration::from_secs(10), "its own, through a parameter");
    let expected = [
        ("ARN", "arn:aws:dynamodb:us-east-1:000000000000:table/OrderTable"),
        ("COLOUR", "green"),
        ("KEY", "SigningKeySecret"),
        ("NAME", "local-prod-${literal}-x.OrderTable-arn:aws:sqs:us-east-1:000000000000:DeadLetters"),
        ("PICKED", "b"),
        ("ROLE", "arn:aws:iam::000000000000:role/WorkerFunctionRole"),
        ("SHARED", "from the globals"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(auth.environment, expected);
    let routes = [("POST", "/login"), ("GET", "/users/{id}"), ("ANY", "$default")];
    let mut actual = auth.routes.clone();
    actual.sort();
    let mut expected: Vec<_> = routes.map(|(method, path)| (method.to_owned(), path.to_owned())).into();
    expected.sort();
    assert_eq!(actual, expected);
}

#[test]
fn a_stream_mapping_has_everything_that_delivery_needs() {
    let template = load(&[]);
    let worker = template.function("worker").expect("worker");
    assert_eq!(
        worker.streams,
        [StreamMapping {
            id: "Orders".to_owned(),
            table: "OrderTable".to_owned(),
            enabled: true,
            starting_position: StartingPosition::TrimHorizon,
            batch_size: 10,
            batching_window: Duration::from_secs(1),
            filters: vec![json!({ "eventName": ["INSERT"] })],
            retries: Some(5),
            maximum_record_age: None,
            bisect: true,
            report_batch_item_failures: true,
            dead_letter_queue: Some("DeadLetters".to_owned()),
        }]
    );
}

#[test]
fn schedules_of_both_kinds() {
    let template = load(&[]);
    let mut schedules = template.function("worker").expect("worker").schedules.clone();
    schedules.sort_by(|left, right| left.id.cmp(&right.id));
    let schedule = |id: &str, kind, expression: &str, enabled, input| Schedule {
        id: id.to_owned(),
        kind,
        expression: expression.to_owned(),
        enabled,
        input,
    };
    assert_eq!(
        schedules,
        [
            schedule("Nightly", ScheduleKind::Scheduler, "cron(0 2 * * ? *)", false, Some(json!({ "a": 1 }))),
            schedule("Often", ScheduleKind::Rule, "rate(1 minute)", true, None),
        ]
    );
}

#[test]
fn a_resource_whose_condition_fails_is_absent() {
    let absent = |parameters: &[(&str, &str)]| {
        !load(parameters).queues().iter().any(|queue| queue.logical_id == "ProdQueue")
    };
    assert!(absent(&[]));
    assert!(!absent(&[("Stage", "prod")]));
}

#[test]
fn a_queue_has_the_attributes_of_create_queue() {
    let template = load(&[("Stage", "prod")]);
    let queue = template.queues().iter().find(|queue| queue.logical_id == "ProdQueue").expect("ProdQueue");
    assert_eq!(queue.attributes["MessageRetentionPeriod"], "1209600");
    let redrive: Value = serde_json::from_str(&queue.attributes["RedrivePolicy"]).expect("JSON");
    assert_eq!(redrive["deadLetterTargetArn"], "arn:aws:sqs:us-east-1:000000000000:DeadLetters");
}

#[test]
fn who_may_do_what() {
    let template = load(&[]);
    let may = |function: &str, action, resource| {
        template.may(template.function(function).expect("a function"), action, resource)
    };
    assert!(may("auth", "secretsmanager:GetSecretValue", "SigningKeySecret"));
    assert!(!may("worker", "secretsmanager:GetSecretValue", "SigningKeySecret"));
    assert!(may("worker", "dynamodb:PutItem", "OrderTable"), "through a wildcard");
    assert!(!may("worker", "dynamodb:DeleteItem", "OrderTable"), "denied");
    assert!(!may("worker", "dynamodb:Query", "OrderTable"), "denied to all but another");
    assert!(may("worker", "dynamodb:UpdateItem", "OrderTable"), "denied on a condition that may not hold");
    assert_eq!(
        template.function("worker").expect("worker").managed_policies,
        ["AWSLambdaExecute", "SQSPollerPolicy"]
    );
}

#[test]
fn errors_name_the_culprit() {
    let minimal =
        |property: &str| format!("Resources: {{Q: {{Type: 'AWS::SQS::Queue', Properties: {{{property}}}}}}}");
    let event = |event: &str| {
        format!(
            "Resources: {{T: {{Type: 'AWS::DynamoDB::Table'}}, F: {{Type: 'AWS::Serverless::Function', \
             Metadata: {{BuildProperties: {{Binary: f}}}}, Properties: {{Events: {{E: {event}}}}}}}}}"
        )
    };
    let stream = "Stream: !GetAtt T.StreamArn, StartingPosition: TRIM_HORIZON";
    for (text, expected) in [
        (
            event(&format!("{{Type: DynamoDB, Properties: {{{stream}, TumblingWindowInSeconds: 60}}}}")),
            "TumblingWindowInSeconds is not understood",
        ),
        (
            event(
                "{Type: ScheduleV2, Properties: {ScheduleExpression: cron(0 2 * * ? *), ScheduleExpressionTimezone: Asia/Kolkata}}",
            ),
            "ScheduleExpressionTimezone is not understood",
        ),
        (minimal("A: !Ref Nobody"), "nothing is called Nobody"),
        (minimal("A: !Sub '${Nobody}'"), "nothing is called Nobody"),
        (minimal("A: !Frobnicate x"), "Fn::Frobnicate"),
        (minimal("A: !If [Nobody, 1, 2]"), "no condition is called Nobody"),
        (minimal("A: 1, A: 2"), "duplicated key"),
        ("Parameters: {Size: {Type: Number}}".to_owned(), "parameter Size has no default"),
        (
            "Conditions: {A: !Condition B, B: !Not [!Condition A]}\nResources: {Q: {Type: X, Condition: A}}"
                .to_owned(),
            "refers to itself",
        ),
    ] {
        let error = error(&text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn parameters_are_checked() {
    let refused =
        |name, value| format!("{:#}", try_load(TEMPLATE, &[(name, value)]).expect_err("must be refused"));
    assert!(refused("Stage", "moon").contains("must be one of dev, prod"));
    assert!(refused("Nobody", "x").contains("no parameter Nobody; it has Letters, Seconds, Stage"));
}

#[test]
fn rules_are_checked() {
    let error = try_load(TEMPLATE, &[("Stage", "prod"), ("Seconds", "1")]).expect_err("must be refused");
    assert!(format!("{error:#}").contains("production needs more than a second"), "{error:#}");
    load(&[("Seconds", "1")]);
    load(&[("Stage", "prod")]);
}

/// Of a rotation schedule and the permission that goes with it nothing is needed locally; a job that no event starts is a
/// function like any other.
#[test]
fn a_job_that_only_other_services_start_is_a_function() {
    let template = load(&[]);
    let rotation = template.function("rotation").expect("rotation");
    assert!(rotation.routes.is_empty() && rotation.streams.is_empty() && rotation.schedules.is_empty());
    assert_eq!(rotation.local_port, None);
    assert!(template.may(rotation, "secretsmanager:PutSecretValue", "SigningKeySecret"));
}

/// The template of this repository, as every caller loads it.
#[test]
fn the_real_template_loads() {
    let template = Template::load(&workspace_root(), &BTreeMap::new()).expect("template.yaml loads");
    assert!(!template.functions().is_empty() && !template.tables().is_empty());
}
