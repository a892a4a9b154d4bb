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
    ("shared_buffers", "128MB"),
];

/// An eighth of the machine's memory, 128 MB to 2 GB: the indexes that every spend writes to should stay in it. Half of what
/// Postgres' manual advises for a machine of its own, since this one is shared; memory that is not used is not taken.
fn shared_buffers_mb(meminfo: &str) -> u64 {
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let total_kb: Option<u64> = total.and_then(|kb| kb.parse().ok());
    total_kb.map_or(256, |kb| (kb / 1024 / 8).clamp(128, 2048))
}

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
    if options.durable {
        // Not on every system: then it is the 256 MB that fit most.
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        set("shared_buffers", format!("{}MB", shared_buffers_mb(&meminfo)).into());
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
    fn shared_buffers_are_an_eighth_of_the_memory_within_bounds() {
        let of = |kb: &str| shared_buffers_mb(&format!("MemTotal:       {kb} kB\nMemFree: 1 kB\n"));
        assert_eq!((of("8388608"), of("25165824"), of("524288")), (1024, 2048, 128));
        assert_eq!((shared_buffers_mb(""), of("lots")), (256, 256));
    }

    #[test]
    fn a_socket_directory_is_one_entry_of_the_list() {
        assert_eq!(quoted(Path::new("/a, b/\"c")), "\"/a, b/\"\"c\"");
    }
}
