//! What the machine's environment says about places: the one door to it here. It concerns the account and its shell, not
//! Scrip, whose own variables come in through `Options`.
#![expect(
    clippy::disallowed_methods,
    reason = "the user's directories, PATH and the npm mirror belong to the machine, and Postgres inherits some of them"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables that Postgres' programs may need; everything else, Scrip's secrets among it, is kept from them.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

pub(super) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// The directories in which a shell would look for a program.
pub(super) fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// The mirror of the npm registry that this machine is set up to use.
pub(super) fn npm_registry() -> Option<String> {
    ["npm_config_registry", "NPM_CONFIG_REGISTRY"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
}

/// Where the data stands unless SCRIP_DATA_DIR says otherwise: `/var/lib/scrip` for root (whose home Postgres' account
/// could not enter), `$XDG_DATA_HOME/scrip` or `~/.local/share/scrip` otherwise.
pub fn default_data_dir() -> PathBuf {
    of_root("/var/lib/scrip").unwrap_or_else(|| of_user("XDG_DATA_HOME", ".local/share"))
}

/// Where downloads are kept: `/var/cache/scrip` for root, `$XDG_CACHE_HOME/scrip` or `~/.cache/scrip` otherwise.
pub(super) fn cache_dir() -> PathBuf {
    of_root("/var/cache/scrip").unwrap_or_else(|| of_user("XDG_CACHE_HOME", ".cache"))
}

fn of_root(path: &str) -> Option<PathBuf> {
    rustix::process::geteuid().is_root().then(|| PathBuf::from(path))
}

/// Without a home, a directory of that name where the process stands.
fn of_user(variable: &str, under_home: &str) -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(under_home)))
        .unwrap_or_else(|| PathBuf::from(under_home))
        .join("scrip")
}
