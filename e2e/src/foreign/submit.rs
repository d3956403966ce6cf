//! Programs of others that authenticate over STARTTLS and send one message: curl, GNU SASL, Cyrus SASL,
//! swaks, Python's smtplib, Samba's NTLM.
//!
//! Each is told to use just one mechanism, prints what both sides say, and trusts any certificate.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use super::{ClientFiles, installed};
use crate::PATIENCE;
use crate::mail;
use crate::process::{Finished, run};

const SMTPTEST: &str = "/usr/lib/cyrus/bin/smtptest";
/// Debian's, which has the modules of Debian's Samba.
const PYTHON: &str = "/usr/bin/python3";

/// A program that authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// libcurl.
    Curl,
    /// GNU SASL.
    Gsasl,
    /// Cyrus SASL.
    Smtptest,
    /// Perl.
    Swaks,
    /// Python's standard library.
    Smtplib,
    /// Samba's NTLM, spoken by smtplib.
    Samba,
}

/// What it proves who it is by.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A password.
    Password(String),
    /// A token.
    Token(String),
    /// A client certificate.
    Certificate(ClientFiles),
}

/// One login and one message.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Where.
    pub server: SocketAddr,
    /// The SASL mechanism.
    pub mechanism: &'static str,
    /// The name of the account.
    pub name: String,
    /// Its proof.
    pub proof: Proof,
    /// The reverse-path.
    pub from: String,
    /// The forward-path.
    pub to: String,
    /// The message.
    pub message: String,
}

impl Program {
    /// Whether it is here.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            Program::Curl => installed("curl"),
            Program::Gsasl => installed("gsasl"),
            Program::Smtptest => Path::new(SMTPTEST).exists(),
            Program::Swaks => {
                installed("swaks") && run(Command::new("perl").args(["-MNet::SSLeay", "-e", "1"])).code == 0
            }
            Program::Smtplib => installed("python3"),
            Program::Samba => {
                Path::new(PYTHON).exists() && run(Command::new(PYTHON).args(["-c", "import samba.gensec"])).code == 0
            }
        }
    }

    /// Sends it; what the program printed has the replies of the server.
    ///
    /// # Panics
    /// When the program cannot be started, or has no such mechanism.
    #[must_use]
    pub fn submit(self, submission: &Submission) -> Finished {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), &submission.message).expect("our own file");
        match self {
            Program::Curl => curl(submission, file.path()),
            Program::Gsasl => gsasl(submission),
            Program::Smtptest => smtptest(submission),
            Program::Swaks => swaks(submission, file.path()),
            Program::Smtplib => python("python3", include_str!("smtplib.py"), submission, file.path()),
            Program::Samba => python(PYTHON, include_str!("ntlm.py"), submission, file.path()),
        }
    }
}

fn curl(it: &Submission, message: &Path) -> Finished {
    let mut command = Command::new("curl");
    command.args(["--silent", "--verbose", "--ssl-reqd", "--insecure", "--max-time", "60"]);
    command.args(["--login-options", &format!("AUTH={}", it.mechanism)]);
    command.args(["--mail-from", &it.from, "--mail-rcpt", &it.to, "--upload-file"]).arg(message);
    match &it.proof {
        Proof::Password(password) => command.args(["--user", &format!("{}:{password}", it.name)]),
        Proof::Token(token) => command.args(["--user", &format!("{}:", it.name), "--oauth2-bearer", token]),
        Proof::Certificate(files) => {
            command.arg("--cert").arg(&files.certificate).arg("--key").arg(&files.key);
            command.args(["--user", &format!("{}:", it.name)])
        }
    };
    run(command.arg(format!("smtp://{}/client.ext.example", it.server)))
}

/// It authenticates and goes; what it hands on afterwards it reads ahead and loses.
fn gsasl(it: &Submission) -> Finished {
    let mut command = Command::new("stdbuf");
    command.args(["-o0", "timeout", "60", "gsasl", "--smtp", "--verbose", "--x509-ca-file="]);
    command.args(["--mechanism", it.mechanism, "--authentication-id", &it.name, "--password", password(it)]);
    if !it.mechanism.ends_with("-PLUS") {
        // It refuses by itself to leave out a binding that it could have used.
        command.arg("--no-cb");
    }
    let mut child = Converse::start(command.arg("--connect").arg(it.server.to_string()));
    let _ = child.hears("235 2.7.0");
    child.end()
}

fn smtptest(it: &Submission) -> Finished {
    let mut command = Command::new("stdbuf");
    command.args(["-i0", "-o0", "timeout", "60", SMTPTEST, "-t", "", "-m", it.mechanism]);
    command.args(["-a", &it.name, "-u", &it.name, "-w", password(it)]);
    command.args(["-p", &it.server.port().to_string(), &it.server.ip().to_string()]);
    interactive(&mut command, it)
}

fn swaks(it: &Submission, message: &Path) -> Finished {
    let mut command = Command::new("swaks");
    command.args(["--server", &it.server.ip().to_string(), "--port", &it.server.port().to_string()]);
    command.args(["--tls", "--helo", "client.ext.example", "--timeout", "60"]);
    command.args(["--from", &it.from, "--to", &it.to, "--data", &format!("@{}", message.display())]);
    run(command.args(["--auth", it.mechanism, "--auth-user", &it.name, "--auth-password", password(it)]))
}

fn python(program: &str, script: &str, it: &Submission, message: &Path) -> Finished {
    let mut command = Command::new(program);
    command.args(["-c", script, &it.server.to_string(), &it.name, password(it), &it.from, &it.to]);
    run(command.arg(message))
}

fn password(it: &Submission) -> &str {
    match &it.proof {
        Proof::Password(password) => password,
        Proof::Token(_) | Proof::Certificate(_) => panic!("this program knows passwords only"),
    }
}

/// Runs a program that hands on what it is told once it has authenticated, and tells it the rest of the
/// session as a person would: a line when the one before has been answered.
fn interactive(command: &mut Command, it: &Submission) -> Finished {
    let mut child = Converse::start(command);
    let envelope = [format!("MAIL FROM:<{}>\r\n", it.from), format!("RCPT TO:<{}>\r\n", it.to), "DATA\r\n".into()];
    let message = String::from_utf8_lossy(&mail::stuffed(&it.message)).into_owned();
    let [mail, rcpt, data] = envelope;
    let steps = [("235 2.7.0", mail), ("250 2.1.0", rcpt), ("250 2.1.5", data), ("354 ", message)];
    let steps = steps.into_iter().chain([("250 2.6.0", "QUIT\r\n".to_owned())]);
    for (awaited, line) in steps {
        if !child.hears(awaited) {
            break;
        }
        child.says(&line);
    }
    child.end()
}

/// A program that is spoken with; everything it prints is kept.
struct Converse {
    child: Child,
    stdin: Option<ChildStdin>,
    printed: Receiver<String>,
    text: String,
}

impl Converse {
    fn start(command: &mut Command) -> Self {
        let (output, input) = std::io::pipe().expect("a pipe");
        let errors = input.try_clone().expect("a pipe");
        command.stdin(Stdio::piped()).stdout(input).stderr(errors);
        let started = command.spawn();
        let mut child = started.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        // Our copies of its end of the pipe, which would keep it open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (tell, printed) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if tell.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, printed, text: String::new() }
    }

    /// Whether it prints this before it ends or is told that it has failed.
    fn hears(&mut self, words: &str) -> bool {
        while let Ok(line) = self.printed.recv_timeout(PATIENCE) {
            let (heard, failed) = (line.contains(words), line.contains("535 "));
            self.text.push_str(&line);
            self.text.push('\n');
            if heard || failed {
                return heard;
            }
        }
        false
    }

    fn says(&mut self, line: &str) {
        // It may have ended; what it has printed then says more than a broken pipe.
        let _ = self.stdin.as_mut().map(|stdin| stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()));
    }

    fn end(mut self) -> Finished {
        drop(self.stdin.take());
        while let Ok(line) = self.printed.recv_timeout(PATIENCE) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
        let status = self.child.wait().expect("a child can be waited for");
        Finished { code: status.code().unwrap_or(-1), stdout: self.text, stderr: String::new() }
    }
}
