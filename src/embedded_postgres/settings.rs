//! The settings Postgres is started with. They stand on its command line, which beats the cluster's own files, and which
//! tells a later Scrip whether a Postgres that was left running is the one it would have started.

use std::ffi::OsString;
use std::path::Path;

use super::Options;
use super::layout::Layout;

/// No TCP: only those who may enter the socket's directory reach it.
const ALWAYS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("cluster_name", "scrip"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // The supervisor reads two of Postgres' messages from the log.
    ("lc_messages", "C"),
    ("log_line_prefix", "%m [%p] "),
    ("autovacuum", "on"),
    // A ledger's statements are short; compiling one would take longer than running it.
    ("jit", "off"),
    ("shared_buffers", "256MB"),
];

/// A commit that was answered is on the disk. Checkpoints are rare and spread out, because each makes the next write of
/// every page log the whole page, which wal_compression then makes smaller (with pglz, the only way every build has).
const DURABLE: &[(&str, &str)] = &[
    ("max_connections", "200"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("wal_compression", "on"),
    ("wal_buffers", "16MB"),
    ("max_wal_size", "4GB"),
    ("min_wal_size", "512MB"),
    ("checkpoint_timeout", "15min"),
    // Local and network disks of today read at random nearly as fast as in sequence.
    ("random_page_cost", "1.1"),
];

/// For tests: survives the end of Postgres, not that of the machine.
const THROWAWAY: &[(&str, &str)] = &[
    ("max_connections", "300"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_wal_size", "1GB"),
];

/// Later settings win, so the caller's come last.
pub(super) fn arguments(layout: &Layout, options: &Options) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("-D"), layout.cluster.clone().into()];
    let mut set = |name: &str, value: OsString| {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(value);
        arguments.extend([OsString::from("-c"), setting]);
    };
    let by_purpose = if options.durable { DURABLE } else { THROWAWAY };
    for (name, value) in ALWAYS.iter().chain(by_purpose) {
        set(name, value.into());
    }
    set("unix_socket_directories", quoted(&layout.socket_dir));
    for (name, value) in &options.settings {
        set(name, value.into());
    }
    arguments
}

/// The setting is a list; quotes keep a comma or a blank in the path from dividing it.
fn quoted(path: &Path) -> OsString {
    let text = path.to_string_lossy().replace('"', "\"\"");
    OsString::from(format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_directory_is_one_entry_of_the_list() {
        assert_eq!(quoted(Path::new("/a, b/\"c")), "\"/a, b/\"\"c\"");
    }
}
