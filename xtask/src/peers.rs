//! Installs the foreign peers that the end-to-end tests speak to, where it may, and what they make the
//! kernel's calls fail with.
//!
//! Mail programs, directories, Kerberos, PAM and what else the tests talk to come as Debian packages; no service
//! is started and nothing is removed for them.
//! Exim and OpenSMTPD conflict with Postfix as packages, so each becomes a tree under `target/peers`
//! with the libraries it needs and its own users, entered with chroot. What cannot be done is said
//! aloud; the tests that need it then skip themselves, which is a failure in CI.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use e2e::foreign::{self, installed};

/// A Debian package, and a file by which it is recognised.
const PACKAGES: [(&str, &str); 27] = [
    ("swaks", "/usr/bin/swaks"),
    ("libnet-ssleay-perl", "/usr/share/doc/libnet-ssleay-perl"),
    ("libio-socket-ssl-perl", "/usr/share/perl5/IO/Socket/SSL.pm"),
    ("libauthen-ntlm-perl", "/usr/share/perl5/Authen/NTLM.pm"),
    ("curl", "/usr/bin/curl"),
    ("gsasl", "/usr/bin/gsasl"),
    ("cyrus-clients", "/usr/lib/cyrus/bin/smtptest"),
    ("libsasl2-modules", "/usr/share/doc/libsasl2-modules"),
    ("python3-samba", "/usr/share/doc/python3-samba"),
    ("perl", "/usr/bin/perl"),
    ("postfix", "/usr/lib/postfix/sbin/master"),
    ("python3", "/usr/bin/python3"),
    ("openssl", "/usr/bin/openssl"),
    ("haproxy", "/usr/sbin/haproxy"),
    ("strace", "/usr/bin/strace"),
    ("krb5-kdc", "/usr/sbin/krb5kdc"),
    ("krb5-admin-server", "/usr/sbin/kadmin.local"),
    ("krb5-user", "/usr/bin/kinit"),
    ("libkrb5-dev", "/usr/include/gssapi/gssapi.h"),
    ("libclang-dev", "/usr/share/doc/libclang-dev"),
    ("gss-ntlmssp", "/etc/gss/mech.d/mech.ntlmssp.conf"),
    ("winbind", "/usr/bin/ntlm_auth"),
    ("libpam0g-dev", "/usr/include/security/pam_appl.h"),
    ("libpam-wrapper", "/usr/share/doc/libpam-wrapper"),
    ("slapd", "/usr/sbin/slapd"),
    ("ldap-utils", "/usr/bin/ldapadd"),
    ("testssl.sh", "/usr/bin/testssl"),
];

struct Tree {
    name: &'static str,
    packages: &'static [&'static str],
    programs: &'static [&'static str],
    users: &'static str,
    groups: &'static str,
    /// Directories and who owns them.
    directories: &'static [(&'static str, &'static str)],
}

const TREES: [Tree; 2] = [
    Tree {
        name: "exim",
        packages: &["exim4-daemon-light"],
        programs: &["usr/sbin/exim4"],
        users: "Debian-exim:x:902:902::/private:/bin/false\n",
        groups: "Debian-exim:x:902:\n",
        directories: &[("private", "902:902"), ("private/inbox", "902:902"), ("private/log", "902:902")],
    },
    Tree {
        name: "opensmtpd",
        packages: &["opensmtpd"],
        programs: &["usr/sbin/smtpd", "bin/sh"],
        users: "opensmtpd:x:903:903::/var/empty:/bin/false\nopensmtpq:x:904:904::/var/empty:/bin/false\n",
        groups: "opensmtpd:x:903:\nopensmtpq:x:904:\n",
        directories: &[("private", "65534:65534"), ("var/spool", "0:0"), ("var/run", "0:0")],
    },
];

/// Installs what is missing; returns what could not be, each with its reason.
pub(crate) fn install() -> Vec<String> {
    let mut skipped = Vec::new();
    if let Err(error) = install_packages() {
        skipped.push(format!("{error:#}"));
    }
    for tree in &TREES {
        let directory = foreign::trees().join(tree.name);
        if directory.join("ready").exists() {
            continue;
        }
        if let Err(error) = grow(tree, &directory) {
            skipped.push(format!("no tree of {}: {error:#}", tree.name));
        }
    }
    skipped
}

/// Whether programs can be built with the system's Kerberos library.
pub(crate) fn kerberos() -> bool {
    Path::new("/usr/include/gssapi/gssapi.h").exists()
}

/// Whether programs can be built with the system's PAM library.
pub(crate) fn pam() -> bool {
    Path::new("/usr/include/security/pam_appl.h").exists()
}

fn install_packages() -> Result<()> {
    let missing = PACKAGES.iter().filter(|(name, file)| !Path::new(file).exists() && !installed(name));
    let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(", "));
    let _held = HeldServices::hold();
    apt_install(&missing)
}

/// While it lives, packages do not start their services.
struct HeldServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl HeldServices {
    fn hold() -> Self {
        let ours = !Path::new(POLICY).exists() && fs::write(POLICY, "#!/bin/sh\nexit 101\n").is_ok();
        if ours {
            let _ = fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755));
        }
        Self { ours }
    }
}

impl Drop for HeldServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

fn apt_install(packages: &[&str]) -> Result<()> {
    may_install().with_context(|| format!("{} not installed", packages.join(", ")))?;
    update_lists()?;
    if packages.contains(&"postfix") {
        let preseed = "postfix postfix/main_mailer_type select No configuration";
        run(Command::new("sh").args(["-c", &format!("echo {preseed} | debconf-set-selections")]))?;
    }
    let mut command = Command::new("apt-get");
    // Never at the cost of a mail server that somebody uses.
    command.args(["install", "--yes", "--quiet", "--no-install-recommends", "--no-remove"]).args(packages);
    run(command.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn may_install() -> Result<()> {
    ensure!(installed("apt-get"), "this machine has no apt-get");
    ensure!(foreign::is_root(), "only root may install packages");
    Ok(())
}

/// Fetches the package lists, once in a run.
fn update_lists() -> Result<()> {
    static UPDATED: std::sync::Once = std::sync::Once::new();
    let mut result = Ok(());
    UPDATED.call_once(|| result = run(Command::new("apt-get").args(["update", "--quiet"])));
    result
}

fn grow(tree: &Tree, directory: &Path) -> Result<()> {
    may_install()?;
    ensure!(installed("dpkg"), "this machine has no dpkg");
    println!("unpacking {} into {}", tree.packages.join(", "), directory.display());
    update_lists()?;
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    for package in tree.packages {
        install_libraries_of(package)?;
        unpack(package, directory)?;
    }
    for program in tree.programs {
        bring(program, directory)?;
    }
    furnish(tree, directory)?;
    fs::write(directory.join("ready"), "")?;
    Ok(())
}

fn install_libraries_of(package: &str) -> Result<()> {
    let output = Command::new("apt-cache").args(["depends", package]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let missing: Vec<&str> = names.filter(|name| name.starts_with("lib") && !is_installed(name)).collect();
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

fn is_installed(package: &str) -> bool {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("ok installed"))
}

fn unpack(package: &str, directory: &Path) -> Result<()> {
    let downloads = directory.join("downloads");
    fs::create_dir_all(&downloads)?;
    run(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&downloads))?;
    for archive in fs::read_dir(&downloads)? {
        run(Command::new("dpkg").arg("-x").arg(archive?.path()).arg(directory))?;
    }
    Ok(fs::remove_dir_all(&downloads)?)
}

/// Copies into the tree every library that `program` loads, and `program` itself if it is not there.
fn bring(program: &str, directory: &Path) -> Result<()> {
    if !directory.join(program).exists() {
        copy(&Path::new("/").join(program), directory)?;
    }
    let output = Command::new("ldd").arg(directory.join(program)).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        bail!("{program} lacks {}", line.trim());
    }
    // `libx.so.1 => /lib/…/libx.so.1 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
    for line in text.lines() {
        if let Some(path) = line.split_whitespace().find(|word| word.starts_with('/')) {
            copy(Path::new(path), directory)?;
        }
    }
    Ok(())
}

fn copy(file: &Path, directory: &Path) -> Result<()> {
    let target = directory.join(file.strip_prefix("/")?);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

/// Users, devices and directories that a mail server expects of a machine.
fn furnish(tree: &Tree, directory: &Path) -> Result<()> {
    for name in ["etc", "dev", "tmp", "run", "var/empty", "var/tmp"] {
        fs::create_dir_all(directory.join(name))?;
    }
    for name in ["tmp", "var/tmp"] {
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o1777))?;
    }
    let (root, nobody) = ("root:x:0:0::/:/bin/sh", "nobody:x:65534:65534::/nonexistent:/bin/false");
    fs::write(directory.join("etc/passwd"), format!("{root}\n{nobody}\n{}", tree.users))?;
    fs::write(directory.join("etc/group"), format!("root:x:0:\nnogroup:x:65534:\n{}", tree.groups))?;
    fs::write(directory.join("etc/services"), "smtp 25/tcp\nsmtps 465/tcp\ndomain 53/udp\n")?;
    for (name, minor) in [("null", "3"), ("random", "8"), ("urandom", "9")] {
        run(Command::new("mknod").args(["-m", "666"]).arg(directory.join("dev").join(name)).args(["c", "1", minor]))?;
    }
    for (name, owner) in tree.directories {
        fs::create_dir_all(directory.join(name))?;
        run(Command::new("chown").arg(owner).arg(directory.join(name)))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let tail: Vec<&str> = said.lines().rev().take(3).collect();
    ensure!(output.status.success(), "{command:?} failed: {}", tail.into_iter().rev().collect::<Vec<_>>().join("; "));
    Ok(())
}
