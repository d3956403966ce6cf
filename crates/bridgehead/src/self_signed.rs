//! The certificate of a server that was started without settings: made once, vouched for by nobody,
//! kept in the state directory. It keeps out those who only listen.

use anyhow::{Context, Result};
use config::{Config, TlsFiles};
use rcgen::{CertificateParams, DnType, KeyPair};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes the certificates that the embedded settings name, if they are not there.
///
/// # Errors
/// They cannot be made or written.
pub(crate) fn ensure(config: &Config) -> Result<()> {
    let tls = config.servers.iter().filter_map(|server| server.tls.as_ref());
    let files: BTreeSet<&TlsFiles> = tls.flat_map(|tls| &tls.certificates).collect();
    for files in files {
        if !files.certificate.exists() || !files.key.exists() {
            make(files, &config.hostname.to_string())?;
        }
    }
    Ok(())
}

fn make(files: &TlsFiles, hostname: &str) -> Result<()> {
    let cannot = "cannot make a certificate";
    let key = KeyPair::generate().context(cannot)?;
    let mut params = CertificateParams::new(vec![hostname.to_owned(), "localhost".to_owned()]).context(cannot)?;
    params.distinguished_name.push(DnType::CommonName, hostname);
    let certificate = params.self_signed(&key).context(cannot)?;
    // The key first: a certificate without it would be taken for complete.
    write(&files.key, 0o600, &key.serialize_pem())?;
    write(&files.certificate, 0o644, &certificate.pem())
}

/// Writes a file that never has more permissions than these, whole or not at all.
fn write(file: &Path, mode: u32, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", file.display());
    let unfinished = file.with_extension("part");
    // What an earlier start has left may have been made by somebody else.
    let _ = std::fs::remove_file(&unfinished);
    let mut open = OpenOptions::new();
    let mut written = open.write(true).create_new(true).mode(mode).open(&unfinished).with_context(cannot)?;
    written.write_all(text.as_bytes()).and_then(|()| written.sync_all()).with_context(cannot)?;
    std::fs::rename(&unfinished, file).with_context(cannot)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "looks at the files that were made")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_nobody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let options = config::embedded::Options {
            state_dir: directory.path().display().to_string(),
            smart_host: Some("[192.0.2.1]".to_owned()),
            ..config::embedded::Options::default()
        };
        let (config, _) = Config::from_text("embedded", &config::embedded::default_text(&options)).unwrap();
        assert!(config.servers.len() == 2 && config.servers.iter().all(|server| server.tls.is_some()));
        ensure(&config).unwrap();
        let files = &config.servers[0].tls.as_ref().unwrap().certificates[0];
        let mode = files.key.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let key = std::fs::read(&files.key).unwrap();
        ensure(&config).unwrap();
        assert_eq!(key, std::fs::read(&files.key).unwrap());
    }
}
