//! The control socket: one command and one answer a connection, as a line of JSON each. Whoever may
//! open the socket may command; its permissions are the owner's alone.

use crate::objections::Objection;
use crate::world::Machine;
use anyhow::{Context, Result, bail};
use gateway::{BanView, Control, QueueCommand, StandingView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Octets a command may have.
const COMMAND_OCTETS: u64 = 1024 * 1024;
/// How long a socket that could not accept is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client of the socket may take.
const TIME: Duration = Duration::from_secs(30);

/// What can be asked or commanded.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Command {
    /// Of the defence against guessing.
    Bans(BansCommand),
    /// Of what has been refused.
    Decisions(DecisionsCommand),
    /// Of what senders have sent.
    Limits(LimitsCommand),
    /// Of the program itself.
    Serve(ServeCommand),
    /// Of the queue.
    Queue(QueueCommand),
}

/// What can be asked of what has been refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DecisionsCommand {
    /// Why was this refused?
    ExplainDecision(String),
}

/// What can be commanded of the program itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServeCommand {
    /// Load the settings again.
    Reload {
        /// The identifiers of what is insisted on.
        accept: Vec<String>,
    },
}

/// What came of loading settings.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reloaded {
    /// They were taken.
    Taken {
        /// What is found of them and accepted.
        accepted: Vec<String>,
        /// What they open and what they close, in words.
        plan: String,
    },
    /// They were not; the old ones stay.
    Refused {
        /// Why, if it is not what is objected to.
        why: String,
        /// What speaks against them.
        objections: Vec<Objection>,
    },
}

/// A command to load settings, on its way to who owns the gateway.
#[derive(Debug)]
pub(crate) struct Reload {
    /// The identifiers of what is insisted on.
    pub insisted: Vec<String>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Reloaded>,
}

/// What can be asked or commanded of the defence against guessing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BansCommand {
    /// Who is refused?
    ListBans,
    /// Refuse this one no longer.
    LiftBan(String),
}

/// What the defence against guessing answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BansAnswer {
    /// Who is refused.
    Bans(Vec<BanView>),
    /// Whether there was such a refusal.
    Lifted(bool),
}

/// What can be asked or commanded about what senders have sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LimitsCommand {
    /// Where does everybody stand?
    ListLimits,
    /// Let this account or address send again.
    ResumeSender(String),
}

/// What is answered to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LimitsAnswer {
    /// Where everybody stands.
    Limits(Vec<StandingView>),
    /// Whether anything was in its way.
    Resumed(bool),
}

/// The open socket; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Opens the socket. One that a dead process left behind is replaced; that nobody else is alive
    /// is known, because the spool is locked by us.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub(crate) fn open(path: &Path) -> Result<Socket> {
        let cannot = || format!("cannot open the control socket {}", path.display());
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).with_context(cannot)?,
            // A file that is something else is somebody's: a slip in the settings must not cost it.
            Ok(_) => bail!("{}: there is a file that is not a socket", cannot()),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).with_context(cannot)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).with_context(cannot)?;
        Ok(Socket { path: path.to_owned(), listener })
    }

    /// Answers until it is stopped.
    pub(crate) async fn serve(self, control: Control<Machine>, reloads: mpsc::Sender<Reload>, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // No descriptor left, most likely; asking again at once would only spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (control, reloads) = (control.clone(), reloads.clone());
            tokio::spawn(async move {
                // A client that has gone needs no answer.
                let _ = tokio::time::timeout(TIME, answer(stream, control, reloads)).await;
            });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may have been replaced or removed by hand.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, control: Control<Machine>, reloads: mpsc::Sender<Reload>) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read).take(COMMAND_OCTETS).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line)? {
        Command::Serve(ServeCommand::Reload { accept }) => json(reload(&reloads, accept).await)?,
        Command::Queue(command) => json(control.queue(command).await)?,
        Command::Decisions(DecisionsCommand::ExplainDecision(id)) => json(control.decision(&id).await)?,
        Command::Limits(LimitsCommand::ListLimits) => json(control.standings().await.map(LimitsAnswer::Limits))?,
        Command::Limits(LimitsCommand::ResumeSender(meant)) => {
            json(control.resume(&meant).await.map(LimitsAnswer::Resumed))?
        }
        Command::Bans(BansCommand::ListBans) => json(control.bans().await.map(BansAnswer::Bans))?,
        Command::Bans(BansCommand::LiftBan(meant)) => json(control.lift(&meant).await.map(BansAnswer::Lifted))?,
    };
    write.write_all(&answer).await?;
    Ok(())
}

/// Has the settings loaded again; nothing when the gateway is stopping.
async fn reload(reloads: &mpsc::Sender<Reload>, insisted: Vec<String>) -> Option<Reloaded> {
    let (answer, answered) = oneshot::channel();
    reloads.send(Reload { insisted, answer }).await.ok()?;
    answered.await.ok()
}

/// The line of an answer; nothing when the gateway is stopping and has none.
fn json<T: Serialize>(answer: Option<T>) -> Result<Vec<u8>> {
    let Some(answer) = answer else { return Ok(Vec::new()) };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    Ok(text)
}

/// Asks a running gateway.
///
/// # Errors
/// Nobody listens there, or it does not answer.
pub(crate) async fn ask<A: DeserializeOwned>(socket: &Path, command: &impl Serialize) -> Result<A> {
    let asking = async {
        let mut stream = UnixStream::connect(socket)
            .await
            .with_context(|| format!("no gateway answers at {}; is it running?", socket.display()))?;
        let mut text = serde_json::to_vec(command)?;
        text.push(b'\n');
        stream.write_all(&text).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if answer.is_empty() {
            bail!("the gateway at {} did not answer", socket.display());
        }
        Ok(serde_json::from_slice(&answer)?)
    };
    tokio::time::timeout(TIME, asking).await.context("the gateway took too long")?
}
