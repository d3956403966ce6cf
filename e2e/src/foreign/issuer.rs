//! An issuer of tokens, and an authority for certificates of clients, both made of OpenSSL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64ct::{Base64UrlUnpadded, Encoding};
use tempfile::TempDir;

use super::{installed, openssl};
use crate::process::{Finished, run};

/// What tokens of ours name as their issuer.
pub const ISSUER: &str = "https://login.corp.example";
/// For whom they are.
pub const AUDIENCE: &str = "smtp.corp.example";

/// An issuer: its key, and the file where it publishes the public half.
#[derive(Debug)]
pub struct Issuer {
    directory: TempDir,
}

impl Issuer {
    /// A new one, or tells that OpenSSL is not there.
    ///
    /// # Panics
    /// When OpenSSL does not do it.
    #[must_use]
    pub fn new() -> Option<Self> {
        if !installed("openssl") {
            return None;
        }
        let issuer = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        openssl(issuer.directory.path(), &["genrsa", "-out", "key.pem", "2048"]);
        let mut command = Command::new("openssl");
        command.args(["rsa", "-noout", "-modulus", "-in", "key.pem"]).current_dir(issuer.directory.path());
        let said = run(&mut command).success().stdout;
        let digits = said.trim().strip_prefix("Modulus=").expect("the modulus");
        let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
        let modulus: Vec<u8> = (0..digits.len()).step_by(2).map(pair).collect();
        let modulus = Base64UrlUnpadded::encode_string(&modulus);
        let key = format!(r#"{{"kty":"RSA","use":"sig","alg":"RS256","kid":"one","n":"{modulus}","e":"AQAB"}}"#);
        fs::write(issuer.keys(), format!(r#"{{"keys":[{key}]}}"#)).expect("our own directory");
        Some(issuer)
    }

    /// Its public keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    /// A token for `account`, good for so many seconds (RFC 7519).
    ///
    /// # Panics
    /// When OpenSSL does not sign.
    #[must_use]
    pub fn token(&self, account: &str, seconds: i64) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs().cast_signed();
        let claims = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","email":"{account}","exp":{}}}"#, now + seconds);
        let head = Base64UrlUnpadded::encode_string(br#"{"alg":"RS256","kid":"one"}"#);
        let signed = format!("{head}.{}", Base64UrlUnpadded::encode_string(claims.as_bytes()));
        let file = self.directory.path().join("signed");
        fs::write(&file, &signed).expect("our own directory");
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-sign", "key.pem", "signed"]).current_dir(self.directory.path());
        let output = command.stderr(Stdio::inherit()).output().expect("openssl is there");
        assert!(output.status.success(), "openssl dgst");
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&output.stdout))
    }
}

/// An authority that vouches for certificates of clients.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

/// The files of a client's certificate.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

const EC: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

impl Authority {
    /// A new one, or tells that OpenSSL is not there.
    #[must_use]
    pub fn new() -> Option<Self> {
        if !installed("openssl") {
            return None;
        }
        let authority = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        let own = ["-days", "30", "-subj", "/CN=Authority", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(authority.directory.path(), &[&["req", "-x509"][..], &EC, &own].concat());
        Some(authority)
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A certificate of a client with this alternative name, as OpenSSL writes it (`email:a@corp.example`).
    ///
    /// # Panics
    /// When OpenSSL does not make it.
    #[must_use]
    pub fn client(&self, file: &str, name: &str) -> ClientFiles {
        let at = |extension: &str| format!("{file}.{extension}");
        let (request, certificate, key, names) = (at("csr"), at("pem"), at("key"), at("names"));
        let asked = ["-subj", "/CN=client", "-keyout", &key, "-out", &request];
        openssl(self.directory.path(), &[&["req"][..], &EC, &asked].concat());
        let extensions = format!("subjectAltName={name}\nextendedKeyUsage=clientAuth\n");
        fs::write(self.directory.path().join(&names), extensions).expect("our own directory");
        let sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", &names];
        let signed = ["x509", "-req", "-in", &request, "-out", &certificate];
        openssl(self.directory.path(), &[&signed[..], &sign].concat());
        let path = |name: &str| self.directory.path().join(name);
        ClientFiles { certificate: path(&certificate), key: path(&key) }
    }
}

impl ClientFiles {
    /// SHA-256 of the certificate, as `bridgehead account certificate` takes it.
    ///
    /// # Panics
    /// When OpenSSL cannot read it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let said = fingerprint(&self.certificate).success().stdout;
        said.trim().rsplit_once('=').expect("a fingerprint").1.to_owned()
    }
}

fn fingerprint(certificate: &Path) -> Finished {
    run(Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate))
}
