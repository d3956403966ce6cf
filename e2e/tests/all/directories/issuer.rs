//! An issuer of tokens, made of OpenSSL: its key, its tokens, and the site where it publishes its key.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use e2e::foreign::{installed, openssl};
use e2e::{Process, Reserved};
use tempfile::TempDir;

use super::DIRECTORY;

/// An issuer.
pub(super) struct Issuer {
    directory: TempDir,
}

impl Issuer {
    /// Makes its keys and the certificate of its site, or tells that OpenSSL is not there.
    pub(super) fn new() -> Option<Issuer> {
        if !installed("openssl") {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let openssl = |words: &str| openssl(directory.path(), &words.split(' ').collect::<Vec<_>>());
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -days 30 -subj /CN=Authority -keyout ca.key -out ca.pem"));
        openssl(&format!("req {key} -subj /CN=login.test -keyout site.key -out site.csr"));
        fs::write(directory.path().join("names"), format!("subjectAltName=IP:{DIRECTORY}\n"))
            .expect("our own directory");
        let sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names";
        openssl(&format!("x509 -req -in site.csr -out site.pem {sign}"));
        openssl("genpkey -algorithm ed25519 -out issuer.key");
        openssl("genpkey -algorithm ed25519 -out stranger.key");
        openssl("pkey -in issuer.key -pubout -outform DER -out issuer.der");
        Some(Issuer { directory })
    }

    /// Who vouches for its site.
    pub(super) fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A token for somebody, good for an hour.
    pub(super) fn token(&self, email: &str) -> String {
        self.signed(email, "issuer.key")
    }

    /// The same, signed by somebody else.
    pub(super) fn forged(&self, email: &str) -> String {
        self.signed(email, "stranger.key")
    }

    fn signed(&self, email: &str, key: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let claims = format!(r#"{{"iss":"https://login.test","aud":"smtp","exp":{},"email":"{email}"}}"#, now + 3600);
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let signed = format!("{}.{}", part(r#"{"alg":"EdDSA","kid":"k1"}"#), part(&claims));
        let place = self.directory.path();
        fs::write(place.join("signed"), &signed).expect("our own directory");
        let words = ["pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", "signed", "-out", "signature"];
        openssl(place, &words);
        let signature = fs::read(place.join("signature")).expect("our own file");
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
    }

    /// Publishes its key at `/jwks`.
    pub(super) fn publish(&self, reserved: Reserved) -> Process {
        let place = self.directory.path();
        let key = fs::read(place.join("issuer.der")).expect("our own file");
        let point = Base64UrlUnpadded::encode_string(&key[key.len() - 32..]);
        let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{point}","alg":"EdDSA","kid":"k1"}}]}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", keys.len());
        fs::write(place.join("jwks"), format!("{head}{keys}")).expect("our own directory");
        let address = reserved.address().to_string();
        drop(reserved);
        let mut command = Command::new("openssl");
        command.args(["s_server", "-HTTP", "-quiet", "-accept", &address, "-cert", "site.pem", "-key", "site.key"]);
        Process::start(command.current_dir(place).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
    }
}
