//! Samba's `ntlm_auth`: as the helper that checks, and as the client that proves.
//!
//! winbindd has accounts of its own here instead of a domain controller's. It answers about them in the
//! same words; the lines, the tokens and the names are those of a domain.

use base64ct::{Base64, Encoding};
use directory::Winbind;
use e2e::foreign::Winbindd;
use e2e::{foreign, skip};
use identity::{Exchange, Failure, Finding, Inquiry, Mechanism, Package, Secret, Setting, Step, Why, settings};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Samba's client.
struct Client {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    fn start(protocol: &str, account: &str, password: &str) -> Client {
        let mut process = Command::new("ntlm_auth")
            .arg(format!("--helper-protocol={protocol}"))
            .args([format!("--username={account}"), "--domain=TESTHOST".into(), format!("--password={password}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let (stdin, stdout) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
        Client { process, stdin, stdout: BufReader::new(stdout) }
    }

    /// The token that answers `request`.
    fn ask(&mut self, request: &str) -> Vec<u8> {
        writeln!(self.stdin, "{request}").expect("it listens");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        let token = line.split_whitespace().nth(1).unwrap_or_else(|| panic!("{line}"));
        Base64::decode_vec(token).unwrap_or_else(|_| panic!("{line}"))
    }

    fn answer(&mut self, challenge: &[u8]) -> Vec<u8> {
        self.ask(&format!("TT {}", Base64::encode_string(challenge)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn available() -> bool {
    let there = Path::new("/usr/bin/ntlm_auth").exists();
    if !there {
        skip("ntlm_auth is not installed");
    }
    there
}

fn winbind(helper: PathBuf) -> Winbind {
    let settings = settings::Winbind { helper, helpers: 1, timeout: Duration::from_secs(60) };
    Winbind::open(&settings).expect("the helper is there")
}

fn with_a_password() -> Winbind {
    winbind(foreign::root().join("e2e/tests/all/integrated/ntlm_auth.sh"))
}

/// The whole conversation of Samba's client with Samba's helper, over ours.
async fn converse(winbind: &Winbind, package: Package, client: &mut Client) -> Finding {
    let mut octets = client.ask("YR");
    let mut conversation = None;
    loop {
        let octets_now = Secret::from(&octets[..]);
        let inquiry =
            Inquiry::Converse { package, conversation, octets: octets_now, link: None, binding_required: false };
        match winbind.converse(inquiry).await {
            Finding::Challenge(challenge, next) => {
                // The token behind a yes has no answer.
                octets = if challenge.starts_with(&[0xa1, 0x07]) { Vec::new() } else { client.answer(&challenge) };
                conversation = Some(next);
            }
            other => return other,
        }
    }
}

#[tokio::test]
async fn winbindd_is_believed() {
    let Some(winbindd) = Winbindd::start() else { return skip("winbindd cannot be started here") };
    let winbind = winbind(winbindd.helper());
    for (package, protocol) in [(Package::Ntlm, "ntlmssp-client-1"), (Package::Spnego, "gss-spnego-client")] {
        for _ in 0..2 {
            let good = converse(&winbind, package, &mut Client::start(protocol, "nobody", "secret")).await;
            assert!(matches!(&good, Finding::Principal(name, Some(_)) if &**name == r"TESTHOST\nobody"), "{good:?}");
            let guessed = converse(&winbind, package, &mut Client::start(protocol, "nobody", "guess")).await;
            assert!(matches!(guessed, Finding::No(identity::No::Wrong)), "{guessed:?}");
            let stranger = converse(&winbind, package, &mut Client::start(protocol, "stranger", "secret")).await;
            assert!(matches!(stranger, Finding::No(identity::No::Wrong)), "{stranger:?}");
        }
    }
}

#[tokio::test]
async fn a_domain_that_cannot_be_asked_says_neither_yes_nor_no() {
    if !available() {
        return;
    }
    // Nobody runs winbindd here.
    let winbind = winbind("/usr/bin/ntlm_auth".into());
    let finding = converse(&winbind, Package::Ntlm, &mut Client::start("ntlmssp-client-1", "alice", "secret")).await;
    assert!(matches!(finding, Finding::Unavailable), "{finding:?}");
}

/// As a client of web servers, Samba asks for no signatures and then sends no integrity code. Windows
/// sends one in any case, and a proof without it can be carried to us from elsewhere.
#[tokio::test]
async fn sambas_client_without_an_integrity_code_is_refused() {
    if !available() {
        return;
    }
    let winbind = with_a_password();
    let mut client = Client::start("ntlmssp-client-1", "alice", "secret");
    let mut exchange = Exchange::new(Mechanism::Ntlm, Setting { ntlm_here: false, ..super::setting() });
    let Step::Inquire(inquiry) = exchange.respond(Some(&client.ask("YR"))) else { panic!("the domain is asked") };
    let Step::Challenge(challenge) = exchange.found(winbind.converse(inquiry).await) else { panic!("a challenge") };
    let step = exchange.respond(Some(&client.answer(&challenge)));
    assert!(matches!(step, Step::Failed(Failure::Refused { why: Why::Weak, .. })), "{step:?}");
}
