//! Files that one process of this program holds while it does what two must not do at once.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::failure::{At, Result};
use crate::process;

/// Waits until the file is held; it is for as long as the value lives. `waiting` is said once if another process holds it.
pub(crate) fn hold(path: &Path, waiting: &str) -> Result<File> {
    let mut said = false;
    loop {
        if let Some(file) = try_hold(path)? {
            return Ok(file);
        }
        if !said {
            eprintln!("{waiting}");
            said = true;
        }
        process::tick()?;
    }
}

/// Holds the file unless another process does.
pub(crate) fn try_hold(path: &Path) -> Result<Option<File>> {
    let file = File::create(path).at("create", path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).at("lock", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_by_one_and_let_go_with_the_value() {
        let path = std::env::temp_dir().join(format!("moegate-lock-test-{}", std::process::id()));
        let held = try_hold(&path).unwrap();
        assert!(held.is_some() && try_hold(&path).unwrap().is_none());
        drop(held);
        assert!(try_hold(&path).unwrap().is_some());
        std::fs::remove_file(path).unwrap();
    }
}
