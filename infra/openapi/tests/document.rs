//! The checked-in description is what the code says, about every route that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;
use shared::openapi::Document;
use template::{Template, workspace_root};

const RENEW: &str = "RENEW_OPENAPI=1 cargo test -p openapi";

fn document() -> Value {
    let mut document = Document::default();
    cart::openapi::describe(&mut document);
    order::openapi::describe(&mut document);
    user::openapi::describe(&mut document);
    payment::openapi::describe(&mut document);
    notification::openapi::describe(&mut document);
    auth::openapi::describe(&mut document);
    analytics::openapi::describe(&mut document);
    document.finish()
}

#[test]
fn the_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = format!("{:#}\n", document());
    if env::var_os("RENEW_OPENAPI").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap();
    let different = made.lines().zip(checked_in.lines()).find(|(made, checked_in)| made != checked_in);
    assert!(
        made == checked_in,
        "infra/openapi/openapi.json is not current: {different:?}\nRenew it by {RENEW}"
    );
}

#[test]
fn the_document_describes_just_the_routes_of_the_template() {
    let template = Template::load(&workspace_root(), &BTreeMap::new()).unwrap();
    let routes = template.functions().iter().flat_map(|function| &function.routes);
    let routes: BTreeSet<(String, String)> = routes
        .filter(|(method, path)| !(method == "$default" || path == "$default"))
        .map(|(method, path)| (method.to_lowercase(), path.clone()))
        .collect();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
        })
        .collect();
    assert_eq!(described, routes);
}

/// As `sam build` and `cargo lambda build` build one.
#[test]
fn no_function_has_in_it_what_makes_the_document() {
    let template = Template::load(&workspace_root(), &BTreeMap::new()).unwrap();
    let folders: BTreeSet<&str> =
        template.functions().iter().map(|function| function.code_uri.as_str()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none"]);
        let tree = tree.current_dir(workspace_root().join(folder)).output().unwrap();
        let (tree, errors) =
            (String::from_utf8(tree.stdout).unwrap(), String::from_utf8(tree.stderr).unwrap());
        assert!(tree.contains("lambda_runtime "), "{folder}: {errors}");
        assert!(!tree.contains("schemars "), "{folder} depends on schemars");
    }
}

#[test]
fn no_two_operations_have_the_same_name() {
    let document = document();
    let mut names = BTreeSet::new();
    for operation in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} is there twice");
    }
    assert!(!names.is_empty());
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().into_iter().flat_map(serde_json::Map::values);
    paths.filter_map(Value::as_object).flat_map(serde_json::Map::values)
}
