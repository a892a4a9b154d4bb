//! The operating-system account that Postgres runs as.
//!
//! Postgres refuses root. When Scrip is root, Postgres runs as `postgres`, else as `nobody`; otherwise as whoever Scrip is.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::error::{EmbeddedPostgresError, io_error};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// The account to switch to; `None` when Scrip is not root and Postgres runs as the same user.
pub(super) fn to_switch_to() -> Result<Option<Account>, EmbeddedPostgresError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let path = Path::new("/etc/passwd");
    let passwd = std::fs::read_to_string(path).map_err(io_error("read", path))?;
    choose(&passwd).map(Some).ok_or(EmbeddedPostgresError::NoAccount)
}

fn choose(passwd: &str) -> Option<Account> {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| passwd.lines().find_map(|line| parse_line(line, name)))
}

/// `name:password:uid:gid:...`; macOS writes nobody's ids as -2, which stands for the same 32 bits.
fn parse_line(line: &str, name: &str) -> Option<Account> {
    let mut fields = line.split(':');
    if fields.next()? != name {
        return None;
    }
    let mut id = || fields.next()?.parse::<i64>().ok().map(|id| id as u32);
    let _password = id();
    let (uid, gid) = (id()?, id()?);
    (uid != 0).then(|| Account {
        name: name.to_owned(),
        uid,
        gid,
    })
}

impl Account {
    /// Makes `path` the account's own.
    pub fn hand_over(&self, path: &Path) -> Result<(), EmbeddedPostgresError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(io_error("change the owner of", path))
    }

    /// Checks that the account can enter `dir`, an absolute path: every directory on the way needs the execute bit for it.
    pub fn check_reach(&self, dir: &Path) -> Result<(), EmbeddedPostgresError> {
        for step in dir.ancestors() {
            let metadata = std::fs::metadata(step).map_err(io_error("look at", step))?;
            if !self.may_enter(&metadata) {
                return Err(EmbeddedPostgresError::OutOfReach {
                    account: self.name.clone(),
                    blocked: step.to_owned(),
                    wanted: dir.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn may_enter(&self, metadata: &Metadata) -> bool {
        let bit = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn prefers_the_postgres_user() {
        let account = choose(PASSWD).unwrap();
        assert_eq!(
            (account.name.as_str(), account.uid, account.gid),
            ("postgres", 101, 104)
        );
    }

    #[test]
    fn falls_back_to_nobody_and_understands_negative_ids() {
        let account = choose("postgresql:x:7:7::/:\nnobody:*:-2:-2::/:/usr/bin/false\n").unwrap();
        assert_eq!((account.name.as_str(), account.uid), ("nobody", 4_294_967_294));
    }

    #[test]
    fn never_chooses_root_under_another_name() {
        assert_eq!(choose("postgres:x:0:0::/:/bin/sh\n"), None);
        assert_eq!(choose("postgres:x:\nnobody\n\n"), None);
    }
}
