//! Passwords by PAM: the helper of the real program, the system's libpam, and modules that say what they
//! are told to. No file of this host is touched: libpam-wrapper shows the helper other services, and the
//! gateway has a mount namespace of its own.

use directory::Pam;
use e2e::foreign::{Certificate, is_root, python};
use e2e::{Start, program, skip, until};
use identity::{Finding, No, Secret, settings};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Of libpam-wrapper: it knows the accounts of a file, `name:password:service`.
const MATRIX: &str = "pam_wrapper/pam_matrix.so";

/// Services of our own.
struct Services {
    directory: TempDir,
    matrix: PathBuf,
}

impl Services {
    fn new() -> Option<Services> {
        let libraries = fs::read_dir("/usr/lib").expect("every system has it").flatten();
        let matrix = libraries.map(|entry| entry.path().join(MATRIX)).find(|path| path.exists());
        let Some(matrix) = matrix else {
            skip("libpam-wrapper is not installed");
            return None;
        };
        let directory = TempDir::new().expect("a temporary directory");
        fs::create_dir(directory.path().join("services")).expect("our own directory");
        let accounts = "alice:secret:smtp\nerin:secret:elsewhere\n";
        fs::write(directory.path().join("accounts"), accounts).expect("our own directory");
        Some(Services { directory, matrix })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A line for the modules that know accounts.
    fn matrix(&self, kind: &str) -> String {
        format!("{kind} required {} passdb={}\n", self.matrix.display(), self.place("accounts").display())
    }

    fn service(&self, name: &str, lines: &str) {
        fs::write(self.place("services").join(name), lines).expect("our own directory");
    }

    fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.place(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("our own directory");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our own file");
        path
    }

    /// This service, by the helper of the program.
    fn asked(&self, service: &str, timeout: Duration) -> Pam {
        let helper = format!(
            "LD_PRELOAD=libpam_wrapper.so PAM_WRAPPER=1 PAM_WRAPPER_SERVICE_DIR={} exec {} pam-helper",
            self.place("services").display(),
            program().display()
        );
        let settings = settings::Pam { service: service.into(), helpers: 1, timeout };
        Pam::by(&settings, self.script("helper", &helper), Vec::new())
    }
}

const LONG: Duration = Duration::from_secs(60);

async fn ask(pam: &Pam, name: &str, password: &str) -> Finding {
    pam.password(name, &Secret::from(password)).await
}

#[tokio::test]
async fn modules_know_people_and_their_passwords() {
    let Some(services) = Services::new() else { return };
    services.service("smtp", &(services.matrix("auth") + &services.matrix("account")));
    let pam = services.asked("smtp", LONG);
    for _ in 0..2 {
        let good = ask(&pam, "alice", "secret").await;
        assert!(matches!(&good, Finding::Account(account) if &*account.name == "alice"), "{good:?}");
        let wrong = ask(&pam, "alice", "guess").await;
        assert!(matches!(wrong, Finding::No(No::Wrong)), "{wrong:?}");
        // These modules do not tell who exists.
        let stranger = ask(&pam, "stranger", "secret").await;
        assert!(matches!(stranger, Finding::No(No::Wrong)), "{stranger:?}");
        // Hers is an account of another service.
        let elsewhere = ask(&pam, "erin", "secret").await;
        assert!(matches!(elsewhere, Finding::No(No::Suspended)), "{elsewhere:?}");
    }
}

/// What pam_debug.so is told to say, and what is made of it.
#[tokio::test]
async fn a_right_password_is_not_enough() {
    let Some(services) = Services::new() else { return };
    for (said, expected) in [
        ("acct_expired", Some(No::Suspended)),
        ("new_authtok_reqd", Some(No::Suspended)),
        ("perm_denied", Some(No::Suspended)),
        ("user_unknown", Some(No::Unknown)),
        ("authinfo_unavail", None),
        ("system_err", None),
    ] {
        services.service("smtp", &(services.matrix("auth") + &format!("account required pam_debug.so acct={said}\n")));
        let finding = ask(&services.asked("smtp", LONG), "alice", "secret").await;
        match (&finding, expected) {
            (Finding::No(no), Some(expected)) => assert_eq!(*no, expected, "{said}"),
            (Finding::Unavailable, None) => {}
            _ => panic!("{said}: {finding:?}"),
        }
    }
    for (said, unknown) in [("user_unknown", true), ("authinfo_unavail", false)] {
        let auth = format!("auth required pam_debug.so auth={said}\n");
        services.service("smtp", &(auth + &services.matrix("account")));
        let finding = ask(&services.asked("smtp", LONG), "alice", "secret").await;
        match finding {
            Finding::No(No::Unknown) if unknown => {}
            Finding::Unavailable if !unknown => {}
            finding => panic!("{said}: {finding:?}"),
        }
    }
}

/// A service that runs this script, which writes its process into the file `reached` first.
fn running(services: &Services, then: &str) -> Pam {
    let reached = services.place("reached");
    let script =
        services.script("module", &format!("echo $PPID > {0}.part && mv {0}.part {0}\n{then}", reached.display()));
    services.service("smtp", &format!("auth required pam_exec.so quiet {}\n", script.display()));
    services.asked("smtp", LONG)
}

async fn reached(services: &Services) {
    let file = services.place("reached");
    let waiting = tokio::task::spawn_blocking(move || until("the module", || file.exists().then_some(())));
    waiting.await.expect("it is waited for");
}

#[tokio::test]
async fn a_module_that_hangs_is_given_up() {
    let Some(services) = Services::new() else { return };
    let pam = running(&services, "exec sleep 60");
    let (finding, ()) = tokio::join!(ask(&pam, "alice", "secret"), async {
        reached(&services).await;
        tokio::time::pause();
        tokio::time::advance(LONG * 2).await;
        tokio::time::resume();
    });
    assert!(matches!(finding, Finding::Unavailable), "{finding:?}");
}

#[tokio::test]
async fn a_helper_that_dies_of_its_module_has_said_nothing() {
    let Some(services) = Services::new() else { return };
    // What pam_exec has started ends its parent, in which the module runs.
    let pam = running(&services, "kill -9 $PPID");
    let finding = ask(&pam, "alice", "secret").await;
    assert!(matches!(finding, Finding::Unavailable), "{finding:?}");
    assert!(services.place("reached").exists());
    services.service("smtp", &(services.matrix("auth") + &services.matrix("account")));
    assert!(matches!(ask(&pam, "alice", "secret").await, Finding::Account(_)), "the next has a helper of its own");
}

#[tokio::test]
async fn modules_that_talk_are_not_heard() {
    let Some(services) = Services::new() else { return };
    let talk = services.script("module", "echo Galice");
    let lines = format!("auth optional pam_exec.so stdout {}\nauth required pam_echo.so hello\n", talk.display());
    services.service("smtp", &(lines + &services.matrix("auth") + &services.matrix("account")));
    let pam = services.asked("smtp", LONG);
    assert!(matches!(ask(&pam, "alice", "guess").await, Finding::No(No::Wrong)));
    assert!(matches!(ask(&pam, "alice", "secret").await, Finding::Account(_)));
}

/// What the gateway is started by: `/etc/pam.d` is ours, for it alone.
fn in_namespace(services: &Path) -> [String; 6] {
    let script = format!("mount --bind '{}' /etc/pam.d && exec \"$@\"", services.display());
    ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned)
}

#[test]
fn people_log_in_with_the_passwords_of_the_host() {
    let Some(services) = Services::new() else { return };
    let can = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !is_root() || !can {
        return skip("there is no mount namespace to be had");
    }
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else {
        return skip("openssl is not installed");
    };
    services.service("smtp", &(services.matrix("auth") + &services.matrix("account")));
    let settings = format!(
        "{}
[virtual_server.inbound.tls]
certificates = [{{ certificate = {:?}, key = {:?} }}]
[virtual_server.inbound.authentication]
mechanisms = [\"PLAIN\"]
directories = [\"host\"]
[directory.pam.host]
service = \"smtp\"
timeout = \"60 s\"
",
        crate::inbound(""),
        certificate.certificate(),
        certificate.key(),
    );
    let under = in_namespace(&services.place("services"));
    let gateway = Start::with(&settings).under(&under.each_ref().map(String::as_str)).go();
    let server = gateway.address("inbound");
    let script = "import smtplib, ssl, sys
s = smtplib.SMTP(sys.argv[1], int(sys.argv[2]))
s.starttls(context=ssl._create_unverified_context())
s.ehlo()
for name, password in [('alice', 'guess'), ('stranger', 'secret'), ('alice', 'secret')]:
    s.user, s.password = name, password
    try:
        print(s.auth('PLAIN', s.auth_plain)[0])
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code)
s.quit()";
    let Some(finished) = python(script, &[&server.ip().to_string(), &server.port().to_string()]) else {
        return skip("there is no Python");
    };
    let words: Vec<&str> = finished.stdout.split_whitespace().collect();
    assert_eq!(words, ["535", "535", "235"], "{}\n{}", finished.text(), gateway.log());
}
