//! A Kerberos realm of its own: MIT's key distribution centre with two people, this service, and another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{free_port, installed, wait_until_it_listens};
use crate::process::Process;

/// The realm.
pub const REALM: &str = "CORP.EXAMPLE";

/// A running centre, with its files.
#[derive(Debug)]
pub struct Kdc {
    directory: TempDir,
    _process: Process,
}

impl Kdc {
    /// Makes a realm with `principals`, whose keys all go to `clients.keytab`, and `services`, whose
    /// keys go to `service.keytab`; or tells that MIT Kerberos is not there.
    ///
    /// # Panics
    /// If one of its programs fails.
    #[must_use]
    pub fn start(ip: &str, principals: &[&str], services: &[&str]) -> Option<Self> {
        if !["krb5kdc", "kdb5_util", "kadmin.local", "kinit"].into_iter().all(installed) {
            return None;
        }
        let directory = TempDir::new().expect("a temporary directory");
        let address = format!("{ip}:{}", free_port(ip));
        fs::write(directory.path().join("krb5.conf"), client_settings(&address)).expect("our own directory");
        fs::write(directory.path().join("kdc.conf"), server_settings(directory.path(), &address))
            .expect("our own directory");
        let run = |program: &str, arguments: &[&str]| succeed(directory.path(), program, arguments);
        run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "master"]);
        for (names, keytab) in [(principals, "clients.keytab"), (services, "service.keytab")] {
            let keytab = directory.path().join(keytab);
            for name in names {
                run("kadmin.local", &["-q", &format!("addprinc -randkey {name}")]);
                run("kadmin.local", &["-q", &format!("ktadd -norandkey -k {} {name}", keytab.display())]);
            }
        }
        let log = fs::File::create(directory.path().join("kdc.out")).expect("our own directory");
        let mut command = Command::new("krb5kdc");
        command.arg("-n").envs(environment(directory.path())).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let process = Process::start(&mut command);
        let log = directory.path().join("kdc.out");
        wait_until_it_listens(address.parse().expect("an address"), "krb5kdc", || {
            fs::read_to_string(&log).unwrap_or_default()
        });
        Some(Self { directory, _process: process })
    }

    /// What a program must have in its environment to live in this realm.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(self.directory.path())
    }

    /// The keytab with the keys of the services.
    #[must_use]
    pub fn service_keytab(&self) -> PathBuf {
        self.directory.path().join("service.keytab")
    }

    /// Gets a ticket for `principal`, and returns the cache it is in.
    ///
    /// # Panics
    /// If there is none to be had.
    #[must_use]
    pub fn login(&self, principal: &str) -> PathBuf {
        let cache = self.directory.path().join(format!("cache-{}", principal.replace('/', "-")));
        let keytab = self.directory.path().join("clients.keytab");
        let (cache_name, keytab) = (cache.display().to_string(), keytab.display().to_string());
        succeed(self.directory.path(), "kinit", &["-c", &cache_name, "-k", "-t", &keytab, principal]);
        cache
    }
}

fn environment(directory: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| directory.join(name).display().to_string();
    vec![
        ("KRB5_CONFIG", file("krb5.conf")),
        ("KRB5_KDC_PROFILE", file("kdc.conf")),
        ("KRB5_KTNAME", format!("FILE:{}", file("service.keytab"))),
        ("KRB5RCACHENAME", format!("file2:{}", file("replays"))),
    ]
}

/// Nothing is asked of DNS.
fn client_settings(address: &str) -> String {
    format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
         dns_canonicalize_hostname = false\nrdns = false\nudp_preference_limit = 1\n\
         [realms]\n{REALM} = {{\n kdc = {address}\n}}\n[domain_realm]\n.corp.example = {REALM}\n"
    )
}

fn server_settings(directory: &Path, address: &str) -> String {
    let directory = directory.display();
    format!(
        "[kdcdefaults]\nkdc_listen = {address}\nkdc_tcp_listen = {address}\n[realms]\n{REALM} = {{\n \
         database_name = {directory}/principal\n key_stash_file = {directory}/stash\n \
         acl_file = {directory}/kadm5.acl\n}}\n[logging]\nkdc = FILE:{directory}/kdc.log\n"
    )
}

fn succeed(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).envs(environment(directory)).output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}
