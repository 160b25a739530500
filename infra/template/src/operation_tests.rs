//! What every resource of one type must have to be run calmly: rules of the house that linters do not know.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// Whatever is optional, enabled.
const EVERYTHING: [(&str, &str); 5] = [
    ("AlarmEmail", "alarms@shop.example"),
    ("Cdn", "enabled"),
    ("EventArchive", "enabled"),
    ("EventBus", "enabled"),
    ("MonthlyBudget", "10"),
];
const PRODUCTION: [(&str, &str); 5] = [
    ("Stage", "prod"),
    ("RequireVerifiedEmail", "enabled"),
    ("EmailSender", "shop@shop.example"),
    ("PaymentProvider", "stripe"),
    ("StripeSecretArn", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stripe"),
];
/// API Gateway waits no longer.
const GATEWAY_TIMEOUT: u64 = 30;
/// Nobody calls them by their alias: CloudFormation, Secrets Manager and operators invoke the newest.
const WITHOUT_ALIAS: [&str; 3] = ["AuthBootstrapFunction", "AuthRotationFunction", "AuthOperatorFunction"];

pub(crate) fn load(parameters: &[(&str, &str)]) -> Template {
    let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Template::load(&workspace_root(), &parameters).expect("template.yaml loads")
}

/// As it is written.
fn document() -> Value {
    let text = std::fs::read_to_string(workspace_root().join("template.yaml")).expect("template.yaml");
    yaml::parse(&text).expect("YAML")
}

pub(crate) fn all<'a>(template: &'a Template, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let found = template.resources.iter().filter(move |(_, resource)| resource.kind == kind);
    let found: Vec<_> = found.map(|(id, resource)| (id.as_str(), &resource.properties)).collect();
    assert!(!found.is_empty(), "there is no {kind}");
    found.into_iter()
}

/// Logical ids of the alarms that watch this metric with this dimension, by itself or in an expression.
fn alarms(template: &Template, metric: &str, dimension: &str) -> Vec<String> {
    let watches = |object: &Value| {
        object["MetricName"] == metric
            && value::list(&object["Dimensions"]).iter().any(|entry| entry["Value"] == dimension)
    };
    let parts = |alarm: &Value| {
        let mut metrics = value::list(&alarm["Metrics"]).iter();
        metrics.any(|part| watches(&part["MetricStat"]["Metric"]))
    };
    let found = all(template, "AWS::CloudWatch::Alarm").filter(|(_, alarm)| watches(alarm) || parts(alarm));
    found.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn a_table_outlives_the_stack_encrypted_and_can_be_restored() {
    let (template, document) = (load(&[("DeletionProtection", "true")]), document());
    for (id, table) in all(&template, "AWS::DynamoDB::Table") {
        let declared = &document["Resources"][id];
        assert_eq!(declared["DeletionPolicy"], "Retain", "{id}");
        assert_eq!(declared["UpdateReplacePolicy"], "Retain", "{id}");
        assert_eq!(table["DeletionProtectionEnabled"], "true", "{id}");
        assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true, "{id}");
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{id}");
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST", "{id}");
    }
    for (id, bucket) in all(&load(&EVERYTHING), "AWS::S3::Bucket") {
        assert_eq!(document["Resources"][id]["DeletionPolicy"], "Retain", "{id}");
        assert!(bucket["BucketEncryption"].is_object(), "{id}");
        let blocked = bucket["PublicAccessBlockConfiguration"].as_object().expect("no public access");
        assert!(blocked.len() == 4 && blocked.values().all(|blocks| *blocks == true), "{id}");
    }
}

#[test]
fn both_alarms_of_the_tables_watch_every_table() {
    let template = load(&[]);
    for alarm in ["TableThrottlesAlarm", "TableErrorsAlarm"] {
        let query = template.resources[alarm].properties["Metrics"].to_string();
        for table in template.tables() {
            assert!(query.contains(&format!("TableName = '{}'", table.logical_id)), "{alarm}: {query}");
        }
    }
}

#[test]
fn a_queue_is_encrypted_keeps_for_a_fortnight_and_is_watched() {
    let template = load(&EVERYTHING);
    for (id, queue) in all(&template, "AWS::SQS::Queue") {
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{id}");
        assert_eq!(queue["MessageRetentionPeriod"], 14 * 24 * 60 * 60, "{id}");
        let name = format!("{id}.QueueName");
        let watched = alarms(&template, "ApproximateNumberOfMessagesVisible", &name);
        assert_eq!(watched.len(), 1, "{id}: {watched:?}");
    }
}

#[test]
fn an_alarm_is_complete_described_and_tells_somebody() {
    let topic = "arn:aws:sns:eu-west-1:123456789012:alarms";
    let own = intrinsics::arn("Alarms", "AWS::SNS::Topic");
    for (parameters, told) in [(vec![], own.as_str()), (vec![("AlarmTopic", topic)], topic)] {
        let optional = [("EventBus", "enabled"), ("EventArchive", "enabled")];
        let template = load(&[parameters, optional.to_vec()].concat());
        for (id, alarm) in all(&template, "AWS::CloudWatch::Alarm") {
            assert_eq!(alarm["AlarmActions"], serde_json::json!([told]), "{id}");
            let single =
                ["Namespace", "MetricName", "Statistic", "Period"].map(|key| alarm.get(key).is_some());
            assert!(single == [true; 4] || single == [false; 4] && alarm["Metrics"].is_array(), "{id}");
            for key in [
                "AlarmDescription",
                "EvaluationPeriods",
                "Threshold",
                "ComparisonOperator",
                "TreatMissingData",
            ] {
                assert!(alarm.get(key).is_some(), "{id} has no {key}");
            }
        }
    }
}

#[test]
fn a_log_is_forgotten_in_time() {
    for (id, group) in all(&load(&[("LogRetention", "7")]), "AWS::Logs::LogGroup") {
        assert_eq!(group["RetentionInDays"], "7", "{id}");
    }
}

#[test]
fn a_function_logs_to_the_one_group_is_traced_and_ends_before_the_gateway_gives_up() {
    let template = load(&[]);
    for (id, function) in all(&template, "AWS::Serverless::Function") {
        assert_eq!(function["LoggingConfig"]["LogGroup"], "FunctionLogs", "{id}");
        assert_eq!(function["LoggingConfig"]["LogFormat"], "JSON", "{id}");
        assert_eq!(function["Tracing"], "Active", "{id}");
    }
    for function in template.functions().iter().filter(|function| !function.routes.is_empty()) {
        assert!(function.timeout.as_secs() < GATEWAY_TIMEOUT, "{}", function.name);
    }
}

#[test]
fn who_consumes_a_stream_is_watched_and_leaves_dead_letters() {
    let template = load(&[]);
    for function in template.functions().iter().filter(|function| !function.streams.is_empty()) {
        let lag = alarms(&template, "IteratorAge", &function.logical_id);
        assert_eq!(lag.len(), 1, "{}: {lag:?}", function.name);
        for stream in &function.streams {
            assert!(stream.dead_letter_queue.is_some(), "{} {}", function.name, stream.id);
            assert!(stream.bisect && stream.report_batch_item_failures, "{} {}", function.name, stream.id);
        }
    }
}

#[test]
fn in_production_an_alarm_of_the_function_itself_takes_a_new_version_back() {
    let (dev, production) = (load(&[]), load(&PRODUCTION));
    for function in production.functions() {
        let id = function.logical_id.as_str();
        let preference =
            |template: &Template| template.resources[id].properties["DeploymentPreference"].clone();
        if WITHOUT_ALIAS.contains(&id) {
            assert_eq!(preference(&production)["Enabled"], false, "{id}");
            assert!(function.routes.is_empty() && function.streams.is_empty(), "{id}");
            assert!(function.schedules.is_empty() && function.topics.is_empty(), "{id}");
            continue;
        }
        assert_eq!(preference(&production)["Enabled"], "true", "{id}");
        assert_eq!(preference(&dev)["Enabled"], "false", "{id}");
        let named = preference(&production)["Alarms"].clone();
        assert_eq!(named, serde_json::json!(alarms(&production, "Errors", id)), "{id}");
    }
}

/// SAM publishes a version when the text of a function changes, which the value of a parameter is not part of.
#[test]
fn a_parameter_of_a_functions_environment_makes_another_version() {
    let document = document();
    let parameters: BTreeSet<&String> =
        document["Parameters"].as_object().expect("parameters").keys().collect();
    for (id, declared) in document["Resources"].as_object().expect("resources") {
        if declared["Type"] != "AWS::Serverless::Function" {
            continue;
        }
        let merged = globals::merged(&document, declared);
        let conditions = &document["Conditions"];
        let used = names(&merged["Properties"]["Environment"], conditions);
        let described = names(&merged["Properties"]["VersionDescription"], conditions);
        let used: BTreeSet<&String> = used.iter().filter(|name| parameters.contains(name)).collect();
        assert_eq!(described.iter().collect::<BTreeSet<_>>(), used, "{id}");
    }
}

/// What `Ref` and `Fn::Sub` name in it, and in the conditions that it depends on.
fn names(value: &Value, conditions: &Value) -> BTreeSet<String> {
    let among = |values: &Vec<Value>| values.iter().flat_map(|value| names(value, conditions)).collect();
    let of_condition = |name: &Value| names(&conditions[name.as_str().unwrap_or_default()], conditions);
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("Ref", Value::String(name)) => [name.clone()].into(),
                ("Fn::Sub", Value::String(text)) => {
                    let parts = text.split("${").skip(1);
                    parts.filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect()
                }
                ("Condition", name) => of_condition(name),
                ("Fn::If", Value::Array(parts)) => &of_condition(&parts[0]) | &among(parts),
                (_, value) => names(value, conditions),
            })
            .collect(),
        Value::Array(values) => among(values),
        _ => BTreeSet::new(),
    }
}
