//! Whether a fetched file is the one that was chosen.

use std::path::Path;

use sha2::Digest;

use super::InstallError;

/// Refuses a file whose hash, in hexadecimal digits, is another than `expect`.
pub(super) fn check<D: Digest>(file: &Path, expect: &str) -> Result<(), InstallError> {
    let found: String = D::digest(std::fs::read(file)?).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expect {
        Ok(())
    } else {
        Err(InstallError::Hash { file: file.file_name().unwrap_or_default().to_string_lossy().into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_tampered_with_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postgres.tgz");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        std::fs::write(&file, "abc").unwrap();
        check::<sha2::Sha256>(&file, abc).unwrap();
        std::fs::write(&file, "abd").unwrap();
        let error = check::<sha2::Sha256>(&file, abc).unwrap_err();
        assert_eq!(error.to_string(), "postgres.tgz is not the file that was chosen: its hash differs");
    }
}
