//! Who clients are: each mechanism by programs that others wrote, peers, and what nobody may learn.

mod peers;
mod programs;
mod rows;
mod secrecy;
mod timing;

use std::fs;
use std::path::Path;

use base64ct::{Base64, Encoding};
use e2e::foreign::{AUDIENCE, Authority, Certificate, ClientFiles, ISSUER, Issuer};
use e2e::{Client, Gateway, Peer, Reply, Script, command_with_input};

use crate::HOP;

/// The password of alice.
pub(crate) const PASSWORD: &str = "Corr3ct-H0rse.Battery";
/// The password of the server ex1.
pub(crate) const SERVER: &str = "st4ple-Of-A-Server";

/// Everything a login needs: accounts, an issuer, an authority, and the gateway itself, whose mail goes to a
/// scripted next hop.
struct House {
    gateway: Gateway,
    hop: Peer,
    issuer: Issuer,
    /// A certificate that is alice's.
    alice: ClientFiles,
    /// One that nobody has.
    stranger: ClientFiles,
    /// One that is the server front's.
    front: ClientFiles,
    directory: tempfile::TempDir,
    _ours: Certificate,
    _authority: Authority,
}

/// All that can be tried with nothing but a settings file. `GSSAPI` needs a realm: `integrated.rs`.
const MECHANISMS: [&str; 8] =
    ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "NTLM", "PLAIN", "LOGIN"];

impl House {
    /// `None` where OpenSSL is not there.
    fn open(more: &str) -> Option<House> {
        let (issuer, authority) = (Issuer::new()?, Authority::new()?);
        let ours = Certificate::for_name("mx1.bridgehead.test")?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        add_account(directory.path(), "alice", PASSWORD, &["--ntlm", "--address", "alice@corp.example"]);
        add_account(directory.path(), "ex1", SERVER, &[]);
        let hop = Peer::start(HOP, Script::polite());
        let gateway = Gateway::start(&settings(directory.path(), &issuer, &authority, &ours, &hop, more));
        let [alice, stranger, front] = [
            ("alice", "email:alice@corp.example"),
            ("stranger", "email:mallory@ext.example"),
            ("front", "DNS:front.corp.example"),
        ]
        .map(|(file, name)| authority.client(file, name));
        Some(House { gateway, hop, issuer, alice, stranger, front, directory, _ours: ours, _authority: authority })
    }
}

pub(crate) fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// Virtual server `out` has everything, `old` only the older form of tokens, `devices` is in the clear, and
/// `strict` has no Basic.
fn settings(
    directory: &Path,
    issuer: &Issuer,
    authority: &Authority,
    ours: &Certificate,
    hop: &Peer,
    more: &str,
) -> String {
    let (certificate, key) = (quoted(&ours.certificate()), quoted(&ours.key()));
    let tls = format!(
        "tls = {{ certificates = [{{ certificate = {certificate}, key = {key} }}], \
         client_certificates = \"asked\", client_authorities = {} }}",
        quoted(&authority.certificate())
    );
    let server = |name: &str, address: &str, tls: &str, mechanisms: &[&str], word: &str| {
        format!(
            "[virtual_server.{name}]\nlisten = [\"{address}:0\"]\nrelay = {{ authenticated = true }}\n{tls}\n\
             authentication = {{ anonymous = false, mechanisms = {mechanisms:?}, directories = [\"people\", \"login\"], \
             failure_delay = \"0 s\", failures = 100{word} }}\ndelivery = {{ smart_hosts = [\"{}\"] }}\n",
            hop.route()
        )
    };
    let clear = ", in_the_clear = \"i-know-passwords-can-be-read-on-the-way\"";
    [
        format!(
            "[organization]\ndomains = [\"corp.example\"]\n[metrics]\nlisten = [\"127.0.0.1:0\"]\n\
             [directory.file.people]\npath = {}\n\
             [directory.tokens.login]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nkeys = {}\naccounts = \"people\"\n\
             [peer.ex1]\naccounts = [\"ex1\"]\nxclient = true\nxforward = true\n\
             [peer.front]\ncertificates = [\"front.corp.example\"]\nxforward = true\n\
             [guessing]\nexempt = [\"127.0.0.0/8\"]\nsecrets_per_account = 10000\n",
            quoted(&directory.join("accounts")),
            quoted(&issuer.keys()),
        ),
        server("out", "127.0.0.2", &tls, &MECHANISMS, ""),
        server("old", "127.0.0.3", &tls, &["XOAUTH2"], ""),
        server("strict", "127.0.0.3", &tls, &["SCRAM-SHA-256"], ""),
        server("devices", "127.0.0.4", "", &["PLAIN", "LOGIN"], clear),
        more.to_owned(),
    ]
    .concat()
}

pub(crate) fn add_account(directory: &Path, name: &str, password: &str, more: &[&str]) {
    let file = directory.join("accounts").display().to_string();
    let arguments = [&["account", "--file", &file, "add", name], more].concat();
    let _ = command_with_input(&arguments, format!("{password}\n").as_bytes()).success();
    assert!(fs::metadata(file).is_ok());
}

/// What PLAIN says (RFC 4616).
pub(crate) fn plain(name: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", Base64::encode_string(format!("\0{name}\0{password}").as_bytes()))
}

/// Authenticates by PLAIN.
pub(crate) fn log_in(client: &mut Client, name: &str, password: &str) -> Reply {
    client.line(&plain(name, password));
    client.reply()
}
