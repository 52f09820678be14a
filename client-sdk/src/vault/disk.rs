//! Files that only their owner reads, replaced as a whole or not at all, and the lock of a folder.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::vault::error::VaultError;

/// Replaces a file: when this returns, its new content is on disk, whatever happens next.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_of(path);
    write_draft(&draft, bytes)?;
    put_in_place(&draft, path)
}

/// Writes a file that nobody has yet, readable by its owner only, down to the disk.
pub(super) fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a crash has left there is nobody's; its mode may be anything.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a draft its name, in place of what had it before.
pub(super) fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    fs::rename(draft, path)?;
    sync_folder_of(path)
}

/// Makes names in the folder of `path` last.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Returns the name under which a file is written before it takes its place.
pub(super) fn draft_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

/// Makes the folder of a device, for its owner only.
pub(super) fn create_folder(dir: &Path) -> Result<(), VaultError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(|error| VaultError::Io { path: dir.to_owned(), reason: error.to_string() })
}

/// Holds the folder against other processes for as long as the file lives.
pub(super) fn lock(dir: &Path) -> Result<File, VaultError> {
    let path = dir.join(LOCK_FILE);
    let io = |error: io::Error| VaultError::Io { path: path.clone(), reason: error.to_string() };
    let file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&path).map_err(io)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::WouldBlock) => return Err(VaultError::InUse(dir.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(io(error)),
        }
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// The file that a process locks while it holds the vault beside it.
pub(super) const LOCK_FILE: &str = "device.lock";
/// A child that this process is just starting holds the lock too, until it has become another program.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
