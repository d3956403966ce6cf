//! Integrated authentication among clients, helpers and centres that others wrote: the mechanisms and
//! directories of the gateway, without the gateway around them.

#[cfg(feature = "gssapi")]
mod kerberos;
#[cfg(feature = "gssapi")]
mod ntlm;
#[cfg(feature = "pam")]
mod pam;
mod samba;

use identity::{Protection, Secret, Setting};

fn setting() -> Setting {
    Setting {
        entropy: *b"\x01\x23\x45\x67\x89\xab\xcd\xef........................",
        decoy: Secret::from("decoy"),
        link: None,
        plus_offered: false,
        protection: Protection::WhenGiven,
        hostname: "mx.corp.example".into(),
        ntlm_here: true,
        // Clients look whether it is.
        now: std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs(),
    }
}

/// Tells the process that [`alone`] has started which test it is there for.
#[cfg(feature = "gssapi")]
const ALONE: &str = "TEST_ALONE";

/// Runs the test `name` of this program in a process of its own. The Kerberos library takes realms, keytabs,
/// tickets and passwords from the environment.
#[cfg(feature = "gssapi")]
fn alone(name: &str, environment: Vec<(&'static str, String)>) {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", &format!("integrated::{name}"), "--nocapture"]).envs(environment).env(ALONE, name);
    let output = command.output().expect("this program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    said.lines().filter(|line| line.ends_with(" a second")).for_each(|figure| println!("{figure}"));
}

/// Whether this process is the one that [`alone`] has started for the test `name`; in any other there is
/// nothing for it to work with.
#[cfg(feature = "gssapi")]
fn is_alone(name: &str) -> bool {
    std::env::var_os(ALONE).is_some_and(|alone| *alone == *name)
}
