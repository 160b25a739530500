//! Where the files that know all services learn of a new one.

use anyhow::{Context as _, Result};

/// An insertion into a file.
#[derive(Debug)]
pub(super) struct Edit {
    /// The file, from the root of the repository.
    pub(super) file: &'static str,
    /// What comes somewhere before the place, and is in the file once.
    pub(super) after: &'static str,
    /// What comes right after the place: the first of its kind after `after`.
    pub(super) before: &'static str,
    /// What is inserted, about the service `sample`.
    pub(super) insert: &'static str,
    /// Whether the lines from `after` to `before` are in alphabetical order.
    pub(super) sorted: bool,
}

/// All of them; several in one file are made one after the other.
pub(super) const EDITS: [Edit; 17] = [
    Edit {
        file: "Cargo.toml",
        after: "\n[workspace.dependencies]\n",
        before: "\nlocal = ",
        insert: "\nsample = { path = \"functions/sample\" }",
        sorted: false,
    },
    Edit {
        file: "Cargo.toml",
        after: "\n[workspace.metadata.lambda.watch.router]\n",
        before: "\n\"/\" = ",
        insert: "\n\"/sample\" = \"sample\"\n\"/sample/{id}\" = \"sample\"\n\"/sample/ready\" = \"sample\"",
        sorted: false,
    },
    Edit {
        file: "functions/shared/src/paths.rs",
        after: "\npub const PATHS: &[(&str, &str)] = &[\n",
        before: "];",
        insert: "    (\"/sample\", \"GET\"),\n    (\"/sample/{id}\", \"GET, PUT, DELETE\"),\n    (\"/sample/ready\", \"GET\"),\n",
        sorted: true,
    },
    Edit {
        file: "template.yaml",
        after: "\n  # --- Tables -",
        before: "  # --- ",
        insert: include_str!("service/table.yaml"),
        sorted: false,
    },
    Edit {
        file: "template.yaml",
        after: "\n  # --- Functions -",
        before: "  # --- ",
        insert: include_str!("service/function.yaml"),
        sorted: false,
    },
    Edit {
        file: "template.yaml",
        after: "\n  # --- Alarms -",
        before: "  # --- ",
        insert: include_str!("service/alarm.yaml"),
        sorted: false,
    },
    Edit {
        file: "template.yaml",
        after: "\n  TableThrottlesAlarm:\n",
        before: "\n      EvaluationPeriods",
        insert: "\n              OR TableName = '${SampleTable}'",
        sorted: false,
    },
    Edit {
        file: "template.yaml",
        after: "\n  TableErrorsAlarm:\n",
        before: "\n      EvaluationPeriods",
        insert: "\n              OR TableName = '${SampleTable}'",
        sorted: false,
    },
    Edit {
        file: "README.md",
        after: "\n| service | port | paths |\n",
        before: "\n\n",
        insert: "\n| `sample` | PORT | `GET /sample` `GET PUT DELETE /sample/{id}` |",
        sorted: false,
    },
    Edit {
        file: "tests/Cargo.toml",
        after: "\n[dependencies]\n",
        before: "\n\n",
        insert: "\nsample.workspace = true",
        sorted: false,
    },
    Edit {
        file: "tests/src/lib.rs",
        after: "pub fn services()",
        before: "\n    ]",
        insert: "\n        (\"sample\", sample::routes().list()),",
        sorted: false,
    },
    Edit {
        file: "tests/tests/agreement.rs",
        after: "    let owners: ",
        before: "\n    ];",
        insert: "\n        (\"SampleTable\", &[\"sample\"]),",
        sorted: false,
    },
    Edit {
        file: "tests/tests/running/main.rs",
        after: "#![expect(clippy::unwrap_used",
        before: "\n\nuse ",
        insert: "\nmod sample;",
        sorted: false,
    },
    Edit {
        file: "infra/openapi/Cargo.toml",
        after: "\n[dev-dependencies]\n",
        before: "serde_json",
        insert: "sample = { workspace = true, features = [\"openapi\"] }\n",
        sorted: false,
    },
    Edit {
        file: "infra/openapi/tests/document.rs",
        after: "fn document() -> Value {",
        before: "\n    document.finish()",
        insert: "\n    sample::openapi::describe(&mut document);",
        sorted: false,
    },
    Edit {
        file: "tests/fuzz/Cargo.toml",
        after: "\n[dependencies]\n",
        before: "\n\n",
        insert: "\nsample = { path = \"../../functions/sample\" }",
        sorted: false,
    },
    Edit {
        file: "tests/fuzz/src/lib.rs",
        after: "let routers = routers!(",
        before: ")",
        insert: ", sample",
        sorted: false,
    },
];

impl Edit {
    /// The text of the file with `new` in it.
    pub(super) fn apply(&self, text: &str, new: &str) -> Result<String> {
        let Self { file, after, before, .. } = self;
        let mut found = text.match_indices(after).map(|(at, _)| at + after.len());
        let from = found.next().filter(|_| found.next().is_none());
        let from = from.with_context(|| {
            format!("{file} is not as expected: {after:?} is not in it just once; nothing was written")
        })?;
        let place = text[from..].find(before).map(|at| from + at);
        let place = place.with_context(|| {
            format!("{file} is not as expected: no {before:?} comes after {after:?}; nothing was written")
        })?;
        let inserted = [&text[from..place], new].concat();
        let mut lines: Vec<&str> = inserted.split_inclusive('\n').collect();
        if self.sorted {
            lines.sort_unstable();
        }
        Ok([&text[..from], &lines.concat(), &text[place..]].concat())
    }
}
