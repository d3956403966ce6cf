//! The command line.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use config::templates::{Realm, Template};
use mail::Domain;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// A secure SMTP gateway: virtual servers in front of a queue that keeps its promise.
#[derive(Debug, Parser)]
#[command(name = "bridgehead", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway in the foreground
    Serve(Serve),
    /// Print settings to begin with, for what this server is to be
    Init(Init),
    /// Check a settings file and say everything that is wrong with it
    Check(Check),
    /// Say who may submit and who may relay, and what is wrong with that
    Audit(Audit),
    /// Say what new settings let somebody do that the old ones do not, and the other way round
    Plan(Plan),
    /// Have a running gateway load its settings again
    Reload(Reload),
    /// Say what would be answered to a client, and which line of the settings decides
    Explain(Box<Explain>),
    /// Submit one message, read from standard input
    Send(Send),
    /// Look at the queue of a running gateway, or change it
    Queue(Queue),
    /// Look at the account file, or change it
    Account(Account),
    /// See who is refused for guessing passwords, or let somebody in again
    Bans(Bans),
    /// Look into a spool; nothing is changed
    #[command(subcommand)]
    Spool(Spool),
    /// Print the reference of the settings
    #[command(subcommand, hide = true)]
    Reference(Reference),
    /// Ask PAM about one password, for the gateway that has started this
    #[cfg(feature = "pam")]
    #[command(name = directory::pam::COMMAND, hide = true)]
    PamHelper,
}

/// Where the settings come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct SettingsFrom {
    /// The settings file; without one, the embedded default is used
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where mail to everywhere else goes, such as `[192.0.2.1]` or `mail.example.net`; only without --config
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    pub smart_host: Option<String>,
    /// The state directory; only without --config
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "config")]
    pub state_dir: Option<PathBuf>,
}

/// `serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub settings: SettingsFrom,
    /// Start although this is found of the settings; may be repeated
    #[arg(long, value_name = "FINDING-ID")]
    pub accept: Vec<String>,
}

/// `reload`
#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    pub running: Running,
    /// Take the settings although this is found of them; may be repeated
    #[arg(long, value_name = "FINDING-ID")]
    pub accept: Vec<String>,
}

/// `init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// What this server is to be
    #[arg(long, value_parser = role())]
    pub role: Template,
    /// A domain of the organization; may be repeated. Without one, an example
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Vec<Domain>,
    /// The name of this machine; without one, `mx1` in the first domain
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<Domain>,
    /// Servers and people authenticate by this Kerberos realm; without one, by accounts in a file
    #[arg(long, value_name = "REALM")]
    pub realm: Option<Realm>,
    /// The file to be written, which must not be there yet; without one, standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The templates, by their names.
fn role() -> impl TypedValueParser<Value = Template> {
    PossibleValuesParser::new(Template::ALL.map(Template::name))
        .map(|name| name.parse().expect("invariant: the names are those of the templates"))
}

/// `check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The settings file
    pub file: PathBuf,
    /// Every entry of a list, right and loan must say who answers for it, why it is there, and when it ends
    #[arg(long)]
    pub strict: bool,
}

/// `audit`
#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0 if there are no findings but notices, with 1 if there are warnings, with 2 if any is \
critical or the settings cannot be read."
)]
pub(crate) struct Audit {
    /// The settings file
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print a page of HTML
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
}

/// `plan`
#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0 if nothing changes, with 1 if nobody may more than before, with 2 if somebody may or \
the settings cannot be read."
)]
pub(crate) struct Plan {
    /// The new settings file
    pub new: PathBuf,
    /// The old settings file: that of the running gateway
    #[arg(long, value_name = "OLD")]
    pub against: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What directories say of a recipient
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Recipient {
    /// Somebody is called that
    Known,
    /// Nobody is called that
    Unknown,
    /// They do not answer
    Unclear,
}

/// `explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub settings: SettingsFrom,
    /// A refusal of the running gateway, by the name in its reply and in the log, such as 7f3a21c9
    #[arg(long, value_name = "ID", conflicts_with_all = ["server", "client", "account", "peer", "mail_from", "rcpt"])]
    pub decision: Option<String>,
    /// The virtual server
    #[arg(long, value_name = "NAME", required_unless_present = "decision")]
    pub server: Option<String>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS", required_unless_present = "decision")]
    pub client: Option<IpAddr>,
    /// The forward-confirmed name of the client, where a rule asks for it; may be repeated
    #[arg(long, value_name = "NAME")]
    pub client_name: Vec<String>,
    /// The client has no forward-confirmed name
    #[arg(long, conflicts_with = "client_name")]
    pub no_client_name: bool,
    /// The name of the client cannot be found out
    #[arg(long, conflicts_with_all = ["client_name", "no_client_name"])]
    pub client_name_unclear: bool,
    /// The link is secured by TLS
    #[arg(long)]
    pub tls: bool,
    /// The mechanism that the client wants to authenticate by
    #[arg(long, value_name = "MECHANISM")]
    pub mechanism: Option<String>,
    /// The account the client has authenticated as; the directories are asked for its groups and addresses
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// A group of the account, instead of asking the directories; may be repeated
    #[arg(long, value_name = "GROUP", requires = "account")]
    pub group: Vec<String>,
    /// An address of the account's own, instead of asking the directories; may be repeated
    #[arg(long, value_name = "ADDRESS", requires = "account")]
    pub address: Vec<String>,
    /// The client is this peer
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    pub peer: Option<String>,
    /// The reverse-path; empty for `<>`
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    pub mail_from: String,
    /// A recipient; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub rcpt: Vec<String>,
    /// What the directories would say of the recipients, instead of asking them
    #[arg(long, value_name = "WORD", requires = "rcpt")]
    pub rcpt_is: Option<Recipient>,
    /// What stands in From of the message; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub header_from: Vec<String>,
    /// What stands in Sender
    #[arg(long, value_name = "ADDRESS")]
    pub header_sender: Vec<String>,
    /// What stands in Resent-From
    #[arg(long, value_name = "ADDRESS")]
    pub header_resent_from: Vec<String>,
    /// A file with the message
    #[arg(long, value_name = "FILE", conflicts_with_all = ["header_from", "header_sender", "header_resent_from"])]
    pub message: Option<PathBuf>,
    /// On which day, in UTC, such as 2027-01-31; without it, now
    #[arg(long, value_name = "DAY")]
    pub at: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `send`
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The server, by address and port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2525")]
    pub server: SocketAddr,
    /// The reverse-path; empty for `<>`
    #[arg(long, value_name = "ADDRESS")]
    pub from: String,
    /// A recipient; may be repeated
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub to: Vec<String>,
    /// Do not secure the connection although the server offers it
    #[arg(long)]
    pub no_tls: bool,
}

/// The running gateway that a command is for.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// The settings file of the running gateway; without one, that of the embedded default
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The state directory of the running gateway; only without --config
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "config", global = true)]
    pub state_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// `queue`
#[derive(Debug, Args)]
pub(crate) struct Queue {
    #[command(flatten)]
    pub running: Running,
    /// What to do
    #[command(subcommand)]
    pub action: QueueAction,
}

/// What to do with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// Destinations and messages
    List(Which),
    /// One message, with everything that has become of it
    Show {
        /// Its identifier
        id: String,
    },
    /// Attempt now
    Retry(Which),
    /// Hold back
    Hold(Which),
    /// Let held messages go
    Release(Which),
    /// Take messages out of the queue; their senders are told
    Delete {
        #[command(flatten)]
        which: Which,
        /// Do not tell the senders
        #[arg(long)]
        no_report: bool,
    },
    /// Stop a destination at once; mail for it still queues
    Freeze {
        /// A part of its name
        destination: String,
    },
    /// Let a stopped destination go on
    Unfreeze {
        /// A part of its name
        destination: String,
    },
}

/// Which messages. Everything that is given must agree.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Identifiers
    pub ids: Vec<String>,
    /// All messages; a command that changes something wants this or another choice
    #[arg(long)]
    pub all: bool,
    /// The reverse-path contains this; `<>` is the null reverse-path
    #[arg(long, value_name = "TEXT")]
    pub from: Option<String>,
    /// A recipient that is still to be attempted contains this
    #[arg(long, value_name = "TEXT")]
    pub to: Option<String>,
    /// The name of a destination contains this
    #[arg(long, value_name = "TEXT")]
    pub destination: Option<String>,
    /// Received by this virtual server
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Received at least so long ago: 90s, 15min, 12h, 2d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub older_than: Option<u64>,
    /// Only say how many messages are meant
    #[arg(long)]
    pub count: bool,
}

/// `bans`
#[derive(Debug, Args)]
pub(crate) struct Bans {
    #[command(flatten)]
    pub running: Running,
    /// What to do
    #[command(subcommand)]
    pub action: BansAction,
}

/// What to do about refusals.
#[derive(Debug, Subcommand)]
pub(crate) enum BansAction {
    /// Networks and accounts that are refused now
    List,
    /// Refuse it no longer, and forget what led to it
    Lift {
        /// A network, an address of it, or an account
        who: String,
    },
}

/// `account`
#[derive(Debug, Args)]
pub(crate) struct Account {
    /// The account file; without one, that of the settings
    #[arg(short, long, value_name = "PATH", global = true)]
    pub file: Option<PathBuf>,
    /// The settings file; without one, the embedded default is used
    #[arg(short, long, value_name = "FILE", conflicts_with = "file", global = true)]
    pub config: Option<PathBuf>,
    /// The state directory; only without --config
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["config", "file"], global = true)]
    pub state_dir: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub action: AccountAction,
}

/// What to do with the account file, or with accounts of the running gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountAction {
    /// All accounts; ends with 1 if the file has mistakes
    List,
    /// A new account; its password is asked for, or read from the first line of standard input
    Add {
        /// Its name
        name: String,
        #[command(flatten)]
        password: NewPassword,
        /// It has no password, for now
        #[arg(long, conflicts_with_all = ["generate", "ntlm"])]
        no_password: bool,
        /// A group it is in; may be repeated
        #[arg(long, value_name = "GROUP")]
        group: Vec<String>,
        /// An address of its own; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        address: Vec<String>,
    },
    /// A new password; it is asked for, or read from the first line of standard input
    Password {
        /// The account
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// The groups of an account
    Group(Lists),
    /// The addresses of an account
    Address(Lists),
    /// The client certificates of an account, by SHA-256
    Certificate(Lists),
    /// May not log in any more; mail for its addresses still comes
    Suspend {
        /// The account
        name: String,
    },
    /// May log in and send again; of a running gateway also an address that may relay again
    Resume {
        /// The account, or the address
        name: String,
    },
    /// How much accounts and devices of the running gateway have sent, those that are near their limits first
    Limits {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// May log in up to a last day, in UTC
    Expire {
        /// The account
        name: String,
        /// Such as 2027-01-31; without one it does not expire
        day: Option<String>,
    },
    /// Takes the account out of the file
    Remove {
        /// The account
        name: String,
    },
}

/// A password to be set.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct NewPassword {
    /// Make one up, and print it once
    #[arg(long)]
    pub generate: bool,
    /// Keep the NT hash too, so that NTLM can be used; whoever steals it needs no password
    #[arg(long)]
    pub ntlm: bool,
}

/// A list of an account, and how it changes.
#[derive(Debug, Args)]
pub(crate) struct Lists {
    /// The account
    pub name: String,
    /// Add this one; may be repeated
    #[arg(long, value_name = "VALUE", required_unless_present = "remove")]
    pub add: Vec<String>,
    /// Remove this one; may be repeated
    #[arg(long, value_name = "VALUE")]
    pub remove: Vec<String>,
}

/// `spool`
#[derive(Debug, Subcommand)]
pub(crate) enum Spool {
    /// Read everything and say what is damaged; ends with 1 if anything is
    Verify {
        /// The state directory, or the spool in it
        directory: PathBuf,
    },
    /// Print every record
    Dump {
        /// The state directory, or the spool in it
        directory: PathBuf,
    },
}

/// `reference`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Reference {
    /// The annotated example file
    Example,
    /// The table of the manual
    Table,
    /// The JSON Schema
    Schema,
}

/// A time span in seconds.
fn span(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "begins with a number, such as 15min".to_owned())?;
    let seconds = match unit.trim() {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => return Err(format!("`{other}` is not one of s, min, h, d")),
    };
    number.checked_mul(seconds).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans() {
        assert_eq!(span("90"), Ok(90));
        assert_eq!(span("15min"), Ok(900));
        assert_eq!(span("2d"), Ok(172_800));
        assert!(span("x").is_err() && span("5w").is_err() && span("99999999999999999999d").is_err());
    }
}
