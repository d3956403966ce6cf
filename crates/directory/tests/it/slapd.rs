//! OpenLDAP's server, started for one test on ports of its own, with a directory of its own.

use crate::authority::Authority;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const ROOT: &str = "cn=root,dc=corp,dc=example";
const PASSWORD: &str = "root-password";

/// A server that runs.
pub(crate) struct Slapd {
    child: Child,
    pub(crate) place: TempDir,
    pub(crate) authority: Authority,
    pub(crate) clear: u16,
    pub(crate) tls: u16,
}

/// What it holds.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Posix,
    Windows,
}

impl Slapd {
    /// Starts one with this content, which only the gateway's account may read. People may read
    /// themselves, and groups.
    pub(crate) fn start(content: Content) -> Slapd {
        // A free port is free when it was asked for; somebody else may take it before slapd does.
        (0..10).find_map(|_| Slapd::try_start(content)).expect("slapd starts (Debian packages slapd and ldap-utils)")
    }

    fn try_start(content: Content) -> Option<Slapd> {
        let place = TempDir::new().unwrap();
        let authority = Authority::in_directory(place.path());
        let (clear, tls) = (free_port(), free_port());
        let settings = place.path().join("slapd.conf");
        fs::create_dir(place.path().join("db")).unwrap();
        fs::write(&settings, configuration(place.path(), &authority)).unwrap();
        let mut child = Command::new("/usr/sbin/slapd")
            .args(["-h", &format!("ldap://127.0.0.1:{clear}/ ldaps://127.0.0.1:{tls}/")])
            .args(["-d", "256", "-f"])
            .arg(&settings)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("slapd is there (Debian packages slapd and ldap-utils)");
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("slapd starting") {
            line.clear();
            if said.read_line(&mut line).unwrap() == 0 {
                child.wait().unwrap();
                return None;
            }
        }
        // It goes on talking, and must not wait for somebody to listen.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let slapd = Slapd { child, place, authority, clear, tls };
        let content = match content {
            Content::Posix => include_str!("slapd/posix.ldif"),
            Content::Windows => include_str!("slapd/windows.ldif"),
        };
        // Another one on the same port has taken the connection, or ended with it.
        slapd.try_ldap("ldapadd", content).is_ok().then_some(slapd)
    }

    /// Adds or changes what this LDIF says.
    pub(crate) fn ldap(&self, tool: &str, ldif: &str) {
        self.try_ldap(tool, ldif).unwrap_or_else(|said| panic!("{tool}: {said}"));
    }

    fn try_ldap(&self, tool: &str, ldif: &str) -> Result<(), String> {
        let file = self.place.path().join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let mut command = Command::new(tool);
        command.args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.clear), "-D", ROOT, "-w", PASSWORD, "-f"]);
        let output = command.arg(&file).output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// Ends it; whoever is connected notices.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configuration(place: &Path, authority: &Authority) -> String {
    let mut text = String::new();
    for schema in ["core", "cosine", "inetorgperson", "nis"] {
        writeln!(text, "include /etc/ldap/schema/{schema}.schema").unwrap();
    }
    let windows = place.join("windows.schema");
    fs::write(&windows, include_str!("slapd/windows.schema")).unwrap();
    let show = |path: &Path| path.display().to_string();
    write!(
        text,
        "include {windows}\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         moduleload memberof\n\
         pidfile {place}/slapd.pid\n\
         TLSCACertificateFile {authority}\n\
         TLSCertificateFile {certificate}\n\
         TLSCertificateKeyFile {key}\n\
         database mdb\n\
         maxsize 16777216\n\
         suffix dc=corp,dc=example\n\
         rootdn {ROOT}\n\
         rootpw {PASSWORD}\n\
         directory {place}/db\n\
         dbnosync\n\
         index objectClass eq\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to dn.subtree=\"ou=groups,dc=corp,dc=example\" by users read\n\
         access to * by dn.exact=\"cn=bridgehead,ou=services,dc=corp,dc=example\" read by self read by * none\n\
         overlay memberof\n",
        windows = show(&windows),
        place = show(place),
        authority = show(&authority.authority),
        certificate = show(&authority.certificate),
        key = show(&authority.key),
    )
    .unwrap();
    text
}
