//! What stands in front of the API: limits, the access log, host names, and a distribution.

use std::collections::BTreeSet;

use serde_json::Value;

use super::operation_tests::{all, load};
use super::*;

#[test]
fn each_throttled_route_exists_and_each_way_to_a_hash_or_a_mail_is_throttled() {
    let template = load(&[]);
    let routes: BTreeSet<_> =
        template.functions().iter().flat_map(|function| function.routes.clone()).collect();
    let routes: BTreeSet<_> = routes.into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let (_, api) = all(&template, "AWS::Serverless::HttpApi").next().expect("an API");
    let throttled = api["RouteSettings"].as_object().expect("RouteSettings");
    let whole = &api["DefaultRouteSettings"];
    for (route, settings) in throttled {
        // API Gateway refuses the deployment.
        assert!(routes.contains(route), "there is no route {route}");
        for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
            assert!(settings[limit].as_u64() < whole[limit].as_u64(), "{route} {limit}");
        }
    }
    for route in [
        "/login",
        "/register",
        "/token",
        "/password/change",
        "/password/forgot",
        "/password/reset",
        "/email/verification",
    ] {
        assert!(throttled.contains_key(&format!("POST {route}")), "{route} is not throttled");
    }
}

#[test]
fn the_access_log_holds_neither_tokens_nor_what_else_a_client_wrote() {
    let template = load(&[]);
    let (_, api) = all(&template, "AWS::Serverless::HttpApi").next().expect("an API");
    let format = api["AccessLogSettings"]["Format"].as_str().expect("a format");
    let fields: Value = serde_json::from_str(format).expect("JSON, also of what is in it");
    for (name, variable) in fields.as_object().expect("an object") {
        let variable = variable.as_str().expect("text");
        assert!(variable.starts_with("$context."), "{name}");
        for secret in ["path", "header", "query", "authorizer", "userAgent", "requestOverride"] {
            assert!(!variable.to_lowercase().contains(&secret.to_lowercase()), "{name} is {variable}");
        }
    }
}

const DOMAIN: [(&str, &str); 3] = [
    ("DomainName", "api.shop.example"),
    ("CertificateArn", "arn:aws:acm:us-east-1:123456789012:certificate/1"),
    ("HostedZoneId", "Z1"),
];
const CDN: (&str, &str) = ("Cdn", "enabled");
const DOMAIN_OF_THE_API: [&str; 2] = ["AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping"];

fn ids(template: &Template, kind: &str) -> Vec<String> {
    let found = template.resources.iter().filter(|(_, resource)| resource.kind == kind);
    found.map(|(id, _)| id.clone()).collect()
}

/// Whether AWS's host name of the API is switched off, and what the tokens bear as issuer.
fn name(template: &Template) -> (Value, Value) {
    let (_, api) = all(template, "AWS::Serverless::HttpApi").next().expect("an API");
    let (_, keys) = all(template, "Custom::KeyPair").next().expect("keys");
    assert_eq!(keys["Issuer"], keys["Audience"]);
    (api["DisableExecuteApiEndpoint"].clone(), keys["Issuer"].clone())
}

#[test]
fn with_a_name_of_its_own_the_api_has_one_way_in_and_its_tokens_bear_the_name() {
    let own = load(&DOMAIN);
    assert_eq!(name(&own), (true.into(), "https://api.shop.example".into()));
    assert_eq!(ids(&own, "AWS::Route53::RecordSetGroup"), ["ApiRecords"]);
    let without = load(&[]);
    assert_eq!(name(&without).0, false);
    for kind in DOMAIN_OF_THE_API {
        assert_eq!(ids(&own, kind).len(), 1, "{kind}");
        assert_eq!(ids(&without, kind), [""; 0], "{kind}");
    }
    assert_eq!(ids(&without, "AWS::Route53::RecordSetGroup"), [""; 0]);
}

#[test]
fn with_a_distribution_in_front_the_name_is_its_own_and_the_tokens_bear_it() {
    let unnamed = load(&[CDN]);
    let (endpoint_is_off, issuer) = name(&unnamed);
    assert_eq!(endpoint_is_off, false, "it is the distribution's origin");
    assert!(issuer.as_str().expect("text").contains("Distribution"), "{issuer}");
    let named = load(&[&DOMAIN[..], &[CDN]].concat());
    assert_eq!(name(&named), (false.into(), "https://api.shop.example".into()));
    let (_, distribution) = all(&named, "AWS::CloudFront::Distribution").next().expect("one");
    assert_eq!(distribution["DistributionConfig"]["Aliases"], serde_json::json!(["api.shop.example"]));
    assert_eq!(ids(&named, "AWS::Route53::RecordSetGroup"), ["DistributionRecords"]);
    for kind in DOMAIN_OF_THE_API {
        assert_eq!(ids(&named, kind), [""; 0], "{kind}");
    }
    assert_eq!(ids(&load(&[]), "AWS::CloudFront::Distribution"), [""; 0]);
}

#[test]
fn whoever_answers_requests_knows_the_distribution_and_nobody_else_does() {
    for (parameters, is_known) in [(&[CDN][..], true), (&[], false)] {
        let template = load(parameters);
        for function in template.functions() {
            let named = function.environment.get("ORIGIN_SECRET").map(String::as_str);
            let answers = !function.routes.is_empty();
            let expected = match (answers, is_known) {
                (false, _) => None,
                (true, false) => Some(""),
                (true, true) => Some("OriginSecret"),
            };
            assert_eq!(named, expected, "{}", function.name);
            let may = template.may(function, "secretsmanager:GetSecretValue", "OriginSecret");
            assert_eq!(may, answers && is_known, "{}", function.name);
        }
    }
}

#[test]
fn a_web_acl_is_the_distributions_and_without_one_it_is_refused() {
    let acl = ("WebAclArn", "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/1");
    let parameters = BTreeMap::from([(acl.0.to_owned(), acl.1.to_owned())]);
    let refused = Template::load(&workspace_root(), &parameters).map(drop).expect_err("refused");
    assert!(format!("{refused:#}").contains("Cdn"), "{refused:#}");
    let guarded = load(&[CDN, acl]);
    let (_, distribution) = all(&guarded, "AWS::CloudFront::Distribution").next().expect("one");
    assert_eq!(distribution["DistributionConfig"]["WebACLId"], acl.1);
}
