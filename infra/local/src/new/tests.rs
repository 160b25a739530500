use std::path::PathBuf;

use template::workspace_root;

use super::*;

/// A service that there will not be, whichever else somebody adds.
const NAME: &str = "unheardof";

/// A repository with the files that the generator reads.
fn repository(test: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("new-{test}-{}", std::process::id()));
    let _absent = fs::remove_dir_all(&root);
    let files = edit::EDITS.iter().map(|edit| edit.file);
    for file in files.chain(["Cargo.lock", "tests/fuzz/Cargo.lock"]) {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::copy(workspace_root().join(file), root.join(file)).unwrap();
    }
    root
}

fn refusal(root: &Path, name: &str) -> String {
    format!("{:#}", Plan::of(root, name).unwrap_err())
}

#[test]
fn bad_names_are_refused() {
    for name in ["", "a", "Wishlist", "wish-list", "wish_list", "1st", "wünsche", "../wish", &"a".repeat(21)]
    {
        assert!(refusal(&workspace_root(), name).contains("no name of a service"), "{name}");
    }
    for name in ["type", "std", "test"] {
        assert!(refusal(&workspace_root(), name).contains("Rust's own"), "{name}");
    }
}

#[test]
fn names_that_something_has_are_refused() {
    for (name, by) in [
        ("user", "crate user"),
        ("axum", "crate axum"),
        ("fuzz", "crate fuzz"),
        ("products", "cart answers"),
        ("revocation", "table RevocationTable"),
        ("mail", "tests/tests/running/mail.rs"),
    ] {
        let refusal = refusal(&workspace_root(), name);
        assert!(refusal.contains(by), "{name}: {refusal}");
    }
}

#[test]
fn a_plan_changes_each_place_that_knows_all_services_and_writes_nothing() {
    let plan = Plan::of(&workspace_root(), NAME).unwrap();
    assert!(!workspace_root().join("functions").join(NAME).exists());
    let template = Template::parse(&plan.changed["template.yaml"], &BTreeMap::new()).unwrap();
    let function = template.function(NAME).unwrap();
    assert_eq!(function.local_port, Some(plan.port));
    assert!(template.may(function, "dynamodb:Query", "UnheardofTable"));
    let others = Template::load(&workspace_root(), &BTreeMap::new()).unwrap();
    assert!(others.functions().iter().all(|other| other.local_port != Some(plan.port)));
    assert_eq!(template.functions().len(), others.functions().len() + 1);
    for (file, text) in plan.made.iter().chain(&plan.changed) {
        assert!(!text.contains("PORT,") && !text.contains("| PORT |"), "{file}");
        let before = fs::read_to_string(workspace_root().join(file)).unwrap_or_default();
        assert!(text.matches("sample").count() <= before.matches("sample").count(), "{file}");
    }
}

#[test]
fn a_file_that_is_not_as_expected_stops_it_before_anything_is_written() {
    let root = repository("unexpected");
    Plan::of(&root, NAME).unwrap();
    for edit in &edit::EDITS {
        let path = root.join(edit.file);
        let text = fs::read_to_string(&path).unwrap();
        let (start, end) = text.split_once(edit.after).unwrap();
        let other_end = end.replace(edit.before, "");
        for broken in [
            [start, "\n", end].concat(),
            [&text, edit.after].concat(),
            [start, edit.after, &other_end].concat(),
        ] {
            fs::write(&path, &broken).unwrap();
            let refusal = refusal(&root, NAME);
            assert!(refusal.contains(edit.file), "{edit:?}: {refusal}");
            assert!(
                fs::read_to_string(&path).unwrap() == broken && !root.join("functions").join(NAME).exists()
            );
        }
        fs::write(&path, text).unwrap();
    }
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn the_readme_shows_what_it_says() {
    let plan = Plan::of(&workspace_root(), NAME).unwrap();
    let said = plan.summary().replace(NAME, "wishlist").replace(&plan.port.to_string(), "8007");
    let readme = read(&workspace_root(), "README.md").unwrap();
    assert!(readme.contains(&said), "{said}");
}
