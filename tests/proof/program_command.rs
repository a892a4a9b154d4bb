//! `scrip program`: a program in a file is looked at and previewed without a database, and put in force with one.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    Ran, run,
    support::{
        Client, Key, database,
        process::{Data, Process},
    },
};

/// A file of its own, removed with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{}_{name}", database::unique_name("program")));
        std::fs::write(&path, text).expect("it is written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a text")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Without a database, and with none that could be started.
async fn alone(arguments: &[&str]) -> Ran {
    run(&[("SCRIP_DATA_DIR", "/dev/null/nowhere")], arguments).await
}

#[tokio::test]
async fn the_linter_ends_with_what_it_found() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/programs/image-suite.toml");
    let ran = alone(&["program", "lint", example]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "nothing is wrong, and nothing unwise\n", "")
    );

    let unwise = File::new("unwise.json", r#"{"unit": {"name": "credits"}, "plans": {"pro": {}}}"#);
    let ran = alone(&["program", "lint", unwise.path()]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("plans.pro: a paid plan that grants 0 credits"),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.stdout.lines().count(), 1);

    let wrong = File::new(
        "wrong.toml",
        "unit = { name = \"x\", scale = 10 }\nquotes = { expires_in_s = 0 }",
    );
    let ran = alone(&["program", "lint", wrong.path()]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            1,
            "unit.scale: 10 is out of range: give 0 to 9\nquotes.expires_in_s: 0 is out of range: give 1 to 86400\n"
        )
    );

    alone(&["program", "lint", "no_such.toml"])
        .await
        .failed(2, &["can't read no_such.toml"]);
    let other = File::new("program.yaml", "");
    alone(&["program", "lint", other.path()])
        .await
        .failed(2, &["a program is JSON or TOML", ".json or .toml"]);
}

#[tokio::test]
async fn the_preview_is_a_table() {
    let file = File::new(
        "berlin.toml",
        "unit = { name = \"credits\" }\ntimezone = \"Europe/Berlin\"\nplans.pro.allowance = 500\nplans.pro.addon.credits = 60",
    );
    let preview = async |arguments: &[&str]| {
        let all: Vec<&str> = ["program", "preview", file.path()]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        alone(&all).await
    };
    let ran = preview(&["--plan", "pro", "--anchor", "2027-01-31T08:00:00Z"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2 + 12 * 5);
    let first = [
        "pro, paid by the month, from 2027-01-31T09:00:00+01:00 until 2028-01-31T09:00:00+01:00 (Europe/Berlin)",
        "AT                         EVENT                  #   CREDITS                    UNTIL",
        "2027-01-31T09:00:00+01:00  payment                0",
        "2027-01-31T09:00:00+01:00  allowance              0   500 credits                2027-02-28T09:00:00+01:00",
        "2027-01-31T09:00:00+01:00  addon_units            0   60 credits a unit          2027-02-28T09:00:00+01:00",
        "2027-02-28T09:00:00+01:00  expiry of allowance    0   at most 500 credits",
        "2027-02-28T09:00:00+01:00  expiry of addon_units  0   at most 60 credits a unit",
        "2027-02-28T09:00:00+01:00  payment                1",
        "2027-02-28T09:00:00+01:00  allowance              1   500 credits                2027-03-31T09:00:00+02:00",
    ];
    assert_eq!(lines[..first.len()], first);

    preview(&["--plan", "gold"])
        .await
        .failed(1, &["the program has no plan gold"]);
    preview(&["--plan", "pro", "--interval", "year"])
        .await
        .failed(1, &["can't be paid by the year: give month"]);
    preview(&["--plan", "pro", "--anchor", "soon"])
        .await
        .failed(2, &["RFC 3339", "2027-01-31T00:00:00Z"]);
    preview(&[]).await.failed(2, &["--plan"]);
}

#[tokio::test]
async fn applying_is_like_putting() {
    let options = database::fresh(&database::unique_name("program_command")).await;
    let url = database::url(&options);
    let variables = [("DATABASE_URL", url.as_str())];
    let process = Process::start(Data::Url(&url)).await;
    let made = run(&variables, &["tenant", "create", "acme"]).await;
    let key = made.stdout.split_whitespace().last().expect("a key").to_owned();
    let admin: Client = process.client.with_key(&Key(key));

    let toml = File::new("acme.toml", "unit = { name = \"credits\" }\nplans.pro.allowance = 500");
    let apply = async |file: &File| {
        let ran = run(&variables, &["program", "apply", file.path(), "--tenant", "acme"]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    assert_eq!(apply(&toml).await, "version 1 is in force\n");
    assert_eq!(apply(&toml).await, "version 1 is in force already, and the same\n");
    // What was applied is what would be put: neither makes a new version of the other's.
    let program: Value = json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": 500}}});
    let put = admin.put("/v1/program", program).await.expect(200);
    assert_eq!(put["version"], 1);
    let json = File::new("acme.json", r#"{"unit": {"name": "credits"}, "plans": {"pro": {}}}"#);
    let said = apply(&json).await;
    assert!(
        said.starts_with("version 2 is in force\nplans.pro: a paid plan"),
        "{said}"
    );
    let current = admin.get("/v1/program").await.expect(200);
    assert_eq!(
        (&current["version"], &current["program"]["plans"]["pro"]["allowance"]),
        (&json!(2), &json!(0))
    );

    let wrong = File::new("wrong.json", r#"{"unit": {"name": "credits", "scale": 10}}"#);
    run(&variables, &["program", "apply", wrong.path(), "--tenant", "acme"])
        .await
        .failed(1, &["is not a program", "unit.scale: 10 is out of range"]);
    run(&variables, &["program", "apply", toml.path(), "--tenant", "nobody"])
        .await
        .failed(1, &["no tenant has the slug nobody"]);
}
