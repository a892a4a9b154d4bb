//! Finding the programs `postgres` and `initdb`.
//!
//! In this order: the directory the operator named; what `pg_config --bindir` says; `postgres` on PATH; the places where
//! packages put it, newest first; an earlier download; a download. A cluster can only be opened by the major version that
//! made it, so once there is a cluster, the others are passed over.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::account::Account;
use super::download;
use super::environment::search_path;
use super::error::EmbeddedPostgresError;

/// The oldest major version whose settings and SQL Scrip relies on.
const MAJOR_MIN: u32 = 14;

/// Parents of per-version directories, and what follows the version in each.
const VERSIONED_PLACES: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub dir: PathBuf,
    pub version: Version,
}

/// `minor` is 0 for betas and development versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// Parses what `postgres --version` prints, such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
    fn parse(output: &str) -> Option<Self> {
        let (_, version) = output.split_once("(PostgreSQL) ")?;
        let (major, rest) = leading_number(version)?;
        let minor = rest.strip_prefix('.').and_then(leading_number);
        Some(Self {
            major,
            minor: minor.map_or(0, |(minor, _)| minor),
        })
    }

    /// Whether this version can open a cluster that `cluster_major` made, or make a new one.
    fn serves(self, cluster_major: Option<u32>) -> bool {
        self.major >= MAJOR_MIN && cluster_major.is_none_or(|major| major == self.major)
    }
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Finds binaries that fit the cluster, downloading them if the machine has none.
///
/// # Errors
/// When a named directory does not serve (nothing else is tried then), and when nothing was found and nothing downloaded.
pub(super) async fn find(
    named: Option<&Path>,
    cluster_major: Option<u32>,
    account: Option<&Account>,
) -> Result<Binaries, EmbeddedPostgresError> {
    if let Some(dir) = named {
        return examine_named(dir, cluster_major, account).await;
    }
    let mut looked_at = vec![
        "pg_config".to_owned(),
        "PATH".to_owned(),
        "/usr/lib/postgresql/*/bin".to_owned(),
    ];
    for dir in installed_places().await {
        match examine(&dir, account).await {
            Ok(binaries) if binaries.version.serves(cluster_major) => return Ok(binaries),
            Ok(binaries) => looked_at.push(format!("{} (is {})", dir.display(), binaries.version.major)),
            Err(problem) => looked_at.push(format!("{} ({problem})", dir.display())),
        }
    }
    if cluster_major.is_none_or(|major| major == download::MAJOR)
        && let Some(package) = download::Package::for_this_machine()
    {
        let dir = package.obtain().await?;
        return examine(&dir, account)
            .await
            .map_err(|problem| EmbeddedPostgresError::Download {
                url: package.url(),
                problem: format!("it does not run on this machine: {problem}"),
            });
    }
    Err(EmbeddedPostgresError::NoBinaries {
        wanted: wanted(cluster_major),
        looked_at: looked_at.join(", "),
    })
}

fn wanted(cluster_major: Option<u32>) -> String {
    match cluster_major {
        Some(major) => format!("{major} (the version that made the data directory)"),
        None => format!("{MAJOR_MIN} or newer"),
    }
}

async fn examine_named(
    dir: &Path,
    cluster_major: Option<u32>,
    account: Option<&Account>,
) -> Result<Binaries, EmbeddedPostgresError> {
    let problem = match examine(dir, account).await {
        Ok(binaries) if binaries.version.serves(cluster_major) => return Ok(binaries),
        Ok(binaries) => format!(
            "it holds Postgres {} and {} is needed",
            binaries.version.major,
            wanted(cluster_major)
        ),
        Err(problem) => problem,
    };
    Err(EmbeddedPostgresError::UnusableBinDir {
        dir: dir.to_owned(),
        problem,
    })
}

/// Directories that may hold an installed Postgres, best first, without repetitions.
async fn installed_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    places.extend(pg_config_bin_dir().await);
    places.extend(on_path("postgres"));
    for (parent, prefix, suffix) in VERSIONED_PLACES {
        places.extend(versioned(Path::new(parent), prefix, suffix));
    }
    let mut seen = Vec::new();
    for place in places {
        if !seen.contains(&place) {
            seen.push(place);
        }
    }
    seen
}

async fn pg_config_bin_dir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().await;
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    Path::new(text.trim()).canonicalize().ok()
}

/// Symbolic links are followed, because Postgres' other programs stand beside the real file only.
fn on_path(program: &str) -> Option<PathBuf> {
    let file = search_path()
        .into_iter()
        .find_map(|dir| dir.join(program).canonicalize().ok())?;
    file.parent().map(Path::to_owned)
}

/// `<parent>/<prefix><number>/<suffix>` for every number, highest first.
fn versioned(parent: &Path, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let major = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join(suffix)))
        })
        .collect();
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// Checks that both programs are there, reachable by Postgres' account, and run.
async fn examine(dir: &Path, account: Option<&Account>) -> Result<Binaries, String> {
    let dir = dir
        .canonicalize()
        .map_err(|error| format!("it cannot be opened: {error}"))?;
    for program in ["postgres", "initdb"] {
        if !dir.join(program).is_file() {
            return Err(format!("it holds no `{program}`"));
        }
    }
    if let Some(account) = account {
        account.check_reach(&dir).map_err(|error| error.to_string())?;
    }
    let output = Command::new(dir.join("postgres"))
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("its `postgres` does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = Version::parse(&text).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("its `postgres --version` says: {} {}", text.trim(), complaint.trim())
    })?;
    Ok(Binaries { dir, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    #[test]
    fn parses_what_packages_print() {
        let cases = [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                version(15, 14),
            ),
            ("postgres (PostgreSQL) 18.4\n", version(18, 4)),
            ("postgres (PostgreSQL) 19beta1", version(19, 0)),
            ("postgres (PostgreSQL) 19devel", version(19, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(Version::parse(text), Some(expected), "{text}");
        }
        assert_eq!(Version::parse("postgres 15"), None);
        assert_eq!(Version::parse("postgres (PostgreSQL) x"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version(9, 6) < version(10, 0));
        assert!(version(15, 9) < version(15, 14));
    }

    #[test]
    fn only_the_major_version_that_made_the_cluster_serves_it() {
        assert!(version(15, 1).serves(Some(15)));
        assert!(!version(16, 1).serves(Some(15)));
        assert!(version(18, 0).serves(None));
        assert!(!version(13, 9).serves(None));
    }

    #[test]
    fn versioned_directories_come_newest_first_and_others_are_left_out() {
        let parent = std::env::temp_dir().join(format!("scrip-binaries-{}", std::process::id()));
        for name in ["pgsql-9", "pgsql-15", "pgsql-100", "pgsql-old", "other"] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        let found = versioned(&parent, "pgsql-", "bin");
        std::fs::remove_dir_all(&parent).unwrap();
        let expected = ["pgsql-100/bin", "pgsql-15/bin", "pgsql-9/bin"].map(|dir| parent.join(dir));
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_named_directory_without_postgres_is_an_error_that_says_so() {
        let error = find(Some(Path::new("/")), None, None).await.unwrap_err();
        assert!(error.to_string().contains("it holds no `postgres`"), "{error}");
    }
}
