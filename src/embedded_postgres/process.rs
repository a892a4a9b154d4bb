//! Looking at and signalling Postgres' processes: our own child, or one that an earlier Scrip left behind.
//!
//! A process id alone proves nothing: it may be a zombie, or may have been given to another program since. So a process
//! counts only if its command line is that of a Postgres on our cluster. Linux answers from /proc, others through `ps`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::Child;

/// How often a process that is not our child is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// The main process of a Postgres.
#[derive(Debug)]
pub(super) enum Postmaster {
    /// Started by us.
    Child(Child),
    /// Started by an earlier Scrip that was killed; it cannot be waited for, only watched.
    Adopted { pid: i32 },
}

impl Postmaster {
    /// The process id; 0 once our child has ended and was waited for.
    pub fn pid(&self) -> i32 {
        match self {
            Self::Child(child) => child.id().unwrap_or_default() as i32,
            Self::Adopted { pid } => *pid,
        }
    }

    /// Waits until the process has ended, and says how. May be dropped and called again.
    pub async fn ended(&mut self) -> String {
        match self {
            Self::Child(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => format!("its exit status is unknown: {error}"),
            },
            Self::Adopted { pid } => {
                while is_alive(*pid) {
                    tokio::time::sleep(WATCH_INTERVAL).await;
                }
                "exit status unknown, as it was adopted".to_owned()
            }
        }
    }

    /// Sends a signal; a process that has just ended is no error.
    pub fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }
}

pub(super) fn signal_to(pid: i32, signal: Signal) {
    // 0 and negative numbers would address whole process groups.
    if pid > 0
        && let Some(pid) = Pid::from_raw(pid)
    {
        let _ = kill_process(pid, signal);
    }
}

/// The postmaster that `postmaster.pid` names, with its command line, if it is alive and serves this cluster.
pub(super) fn running_postmaster(cluster: &Path) -> Option<(i32, String)> {
    let pid = recorded_pid(cluster)?;
    let command_line = command_line(pid)?;
    let is_ours = names_cluster(&command_line, cluster) || works_in(pid, cluster);
    (is_ours && is_postgres(&command_line)).then_some((pid, command_line))
}

/// The process id in `postmaster.pid`, whatever that process is by now.
pub(super) fn recorded_pid(cluster: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    // A postmaster writes its id as negative while it runs in single-user mode.
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    Some(pid.abs()).filter(|pid| *pid > 0)
}

/// All processes of Postgres that stand in the cluster's directory; empty where there is no /proc.
pub(super) fn processes_in(cluster: &Path) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| works_in(*pid, cluster))
        .filter(|pid| command_line(*pid).is_some_and(|line| is_postgres(&line)))
        .collect()
}

/// False for a zombie, where there is a /proc. (A `ps` every few milliseconds would be costly, and elsewhere than in Linux
/// containers process 1 reaps, so that zombies do not last.)
pub(super) fn is_alive(pid: i32) -> bool {
    if has_proc() {
        command_line(pid).is_some()
    } else {
        exists(pid)
    }
}

/// True for a zombie too.
pub(super) fn exists(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// The words of a command line, joined by blanks; `None` if there is no such process or it is a zombie.
fn command_line(pid: i32) -> Option<String> {
    let line = if has_proc() {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    } else {
        ps_arguments(pid).ok()?
    };
    let line = line.trim();
    let is_zombie = line.is_empty() || line.starts_with('(') || line.contains("<defunct>");
    (!is_zombie).then(|| line.to_owned())
}

fn ps_arguments(pid: i32) -> io::Result<String> {
    let output = std::process::Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn has_proc() -> bool {
    Path::new("/proc/self/cmdline").exists()
}

/// A postmaster's first word is the path of the program; its children rename themselves to `postgres: checkpointer` etc.
fn is_postgres(command_line: &str) -> bool {
    let program = command_line.split(" -").next().unwrap_or_default();
    let by_path = program.starts_with('/') && (program.ends_with("/postgres") || program.ends_with("/postmaster"));
    by_path || program == "postgres" || program.starts_with("postgres: ")
}

fn names_cluster(command_line: &str, cluster: &Path) -> bool {
    format!("{command_line} ").contains(&format!(" -D {} ", cluster.display()))
}

/// Every process of Postgres has the cluster as its working directory.
fn works_in(pid: i32, cluster: &Path) -> bool {
    let link = PathBuf::from(format!("/proc/{pid}/cwd"));
    std::fs::read_link(link).is_ok_and(|directory| directory == cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_postgres_by_its_command_line() {
        assert!(is_postgres(
            "/usr/lib/postgresql/15/bin/postgres -D /var/lib/scrip/postgres -c port=5432"
        ));
        assert!(is_postgres("/opt/with blank/postgres -D /x"));
        assert!(is_postgres("postgres: scrip: checkpointer"));
        assert!(!is_postgres("vim /var/lib/postgres"));
        assert!(!is_postgres("/usr/bin/postgres_exporter --web"));
    }

    #[test]
    fn a_neighbouring_cluster_is_not_ours() {
        let line = "/bin/postgres -D /data/postgres.old -c fsync=on";
        assert!(!names_cluster(line, Path::new("/data/postgres")));
        assert!(names_cluster(line, Path::new("/data/postgres.old")));
        assert!(names_cluster(
            "/bin/postgres -D /data/postgres",
            Path::new("/data/postgres")
        ));
    }

    #[test]
    fn a_zombie_does_not_count_as_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        if has_proc() {
            while is_alive(pid) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        child.wait().unwrap();
        assert!(!is_alive(pid));
        assert!(is_alive(std::process::id() as i32));
    }
}
