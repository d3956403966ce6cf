//! One SASL exchange, from AUTH to its end.

use crate::inquiry::{Finding, Inquiry, No};
use crate::secret::Secret;
use mail::Account;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: Basic of the originals.
    Login,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 4422 appendix A: by client certificate.
    External,
    /// RFC 7628.
    OauthBearer,
    /// Its forerunner.
    Xoauth2,
    /// RFC 4752: Kerberos.
    Gssapi,
    /// SPNEGO (MS-SPNG), as Windows calls it.
    GssSpnego,
    /// MS-SMTPNTLM.
    Ntlm,
}

impl Mechanism {
    /// All, strongest first: the order in which they are offered.
    pub const ALL: [Mechanism; 10] = [
        Mechanism::External,
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::Gssapi,
        Mechanism::GssSpnego,
        Mechanism::OauthBearer,
        Mechanism::Xoauth2,
        Mechanism::Ntlm,
        Mechanism::Plain,
        Mechanism::Login,
    ];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::External => "EXTERNAL",
            Mechanism::OauthBearer => "OAUTHBEARER",
            Mechanism::Xoauth2 => "XOAUTH2",
            Mechanism::Gssapi => "GSSAPI",
            Mechanism::GssSpnego => "GSS-SPNEGO",
            Mechanism::Ntlm => "NTLM",
        }
    }

    /// Whether it can only be used on a secured link, whatever the settings say: it shows its secret
    /// to whoever listens, or rests on what TLS gives. Basic in the clear is for the settings to insist on.
    #[must_use]
    pub const fn needs_tls(self) -> bool {
        matches!(self, Mechanism::ScramSha256Plus | Mechanism::External | Mechanism::OauthBearer | Mechanism::Xoauth2)
    }

    /// Whether a stranger who listens learns a secret that can be used again.
    #[must_use]
    pub const fn shows_its_secret(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login | Mechanism::OauthBearer | Mechanism::Xoauth2)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMechanism;

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Mechanism, UnknownMechanism> {
        Mechanism::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name)).ok_or(UnknownMechanism)
    }
}

/// What a mechanism must know about where it is used.
#[derive(Clone)]
pub struct Setting {
    /// Octets nobody can guess, drawn for this exchange: the server's part of a nonce or challenge.
    pub entropy: [u8; 32],
    /// A secret of this server that lasts: what is shown of accounts that do not exist is made of it,
    /// so that it is the same at each try.
    pub decoy: Secret,
    /// The secured link; `None` in the clear.
    pub link: Option<Arc<Link>>,
    /// Whether SCRAM-SHA-256-PLUS was offered on this link. A client that says it could not see it is
    /// being lied to (RFC 5802 §6).
    pub plus_offered: bool,
    /// What is asked of clients about channel binding, where the mechanism leaves it to them.
    pub protection: Protection,
    /// The name of this server, for challenges that carry one.
    pub hostname: Box<str>,
    /// Whether NTLM is checked by the accounts of this host; otherwise it is handed to the domain.
    pub ntlm_here: bool,
    /// Seconds since 1970.
    pub now: u64,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { link, plus_offered, protection, hostname, ntlm_here, now, entropy: _, decoy: _ } = self;
        f.debug_struct("Setting")
            .field("link", link)
            .field("plus_offered", plus_offered)
            .field("protection", protection)
            .field("hostname", hostname)
            .field("ntlm_here", ntlm_here)
            .field("now", now)
            .finish_non_exhaustive()
    }
}

/// Extended protection: whether NTLM and SPNEGO must be bound to the TLS link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// A binding that the client gives must be right.
    #[default]
    WhenGiven,
    /// The client must give one.
    Required,
}

/// What TLS says about a link.
#[derive(Clone, Default)]
pub struct Link {
    /// `tls-exporter` (RFC 9266); `None` before TLS 1.3, where it does not bind.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of our certificate.
    pub end_point: Box<[u8]>,
    /// The certificate that the client has shown, verified.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What binds to the link is a secret of its two ends (RFC 9266 §4.3).
        f.debug_struct("Link").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A certificate of a client, which an authority vouches for that the settings name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its names: DNS names and mailboxes of the subject alternative name. The subject only where it has none.
    pub names: Box<[Box<str>]>,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

/// What happens next in an exchange.
pub enum Step {
    /// Send this to the client, and call [`Exchange::respond`] with its answer.
    Challenge(Vec<u8>),
    /// Ask the directories, and call [`Exchange::found`] with what they say.
    Inquire(Inquiry),
    /// The client has proved who it is.
    Proved(Proof),
    /// It has not.
    Failed(Failure),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What is in it can be tried against passwords.
            Step::Challenge(_) => f.write_str("Challenge(…)"),
            Step::Inquire(inquiry) => f.debug_tuple("Inquire").field(inquiry).finish(),
            Step::Proved(proof) => f.debug_tuple("Proved").field(proof).finish(),
            Step::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
        }
    }
}

/// Who a client has proved to be, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// By what.
    pub credential: Credential,
    /// What a directory says about the account; `None` for a principal or certificate no directory knows.
    pub account: Option<Arc<Account>>,
}

/// By what a client has proved who it is: what the settings recognise peers by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The secret of an account.
    Account(Box<str>),
    /// A ticket of this Kerberos principal, or the word of a Windows domain.
    Principal(Box<str>),
    /// A certificate.
    Certificate(Arc<ClientCertificate>),
}

impl Credential {
    /// The account, if it is the secret of one.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Credential::Account(name) => Some(name),
            Credential::Principal(_) | Credential::Certificate(_) => None,
        }
    }
}

/// Why an exchange came to nothing. What the client hears of it is decided elsewhere, and is the same
/// for all of [`Failure::Refused`].
#[derive(Clone, PartialEq, Eq)]
pub enum Failure {
    /// It did not prove who it is.
    Refused {
        /// The account that was tried, as the client spelt it; `None` if it did not get so far.
        name: Option<Box<str>>,
        /// A digest that is the same when the same secret is tried again for any account; `None` when
        /// the mechanism does not show one. For telling a forgetful client from a guesser.
        secret: Option<u64>,
        /// Why, for the log.
        why: Why,
    },
    /// What it sent does not follow the mechanism.
    Malformed,
    /// It could not be found out.
    Unavailable,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused { name, why, secret: _ } => {
                f.debug_struct("Refused").field("name", name).field("why", why).finish_non_exhaustive()
            }
            Failure::Malformed => f.write_str("Malformed"),
            Failure::Unavailable => f.write_str("Unavailable"),
        }
    }
}

/// Why a client did not prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A directory says no.
    Directory(No),
    /// It wants to act for another account (RFC 4422 §3.4.1).
    ForAnother,
    /// The channel binding is not that of this link: somebody stands between.
    Binding,
    /// It says that channel binding was not offered, and it was: somebody stands between.
    Downgrade,
    /// The proof is not right.
    Proof,
    /// It showed no certificate.
    NoCertificate,
    /// An old or empty form that is never accepted: NTLMv1, LM, anonymous.
    Weak,
    /// It came to nothing after too many steps.
    TooLong,
}

impl Why {
    /// The word for it in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::Directory(No::Unknown) => "unknown-account",
            Why::Directory(No::Wrong) | Why::Proof => "wrong-secret",
            Why::Directory(No::Suspended) => "suspended",
            Why::Directory(No::NoSecret) => "no-secret-for-mechanism",
            Why::ForAnother => "for-another",
            Why::Binding => "channel-binding",
            Why::Downgrade => "downgrade",
            Why::NoCertificate => "no-certificate",
            Why::Weak => "weak",
            Why::TooLong => "too-long",
        }
    }
}

/// What every mechanism does. Each step is only called when the last one asked for it: [`Exchange`] sees
/// to that.
pub(crate) trait Steps: Send {
    /// What the client sent; `None` when AUTH came without an initial response, and only then.
    fn respond(&mut self, response: Option<&[u8]>) -> Step;
    /// What the directories found.
    fn found(&mut self, finding: Finding) -> Step;
    /// A failure that is decided already while the client has yet to answer a challenge that tells it so.
    fn decided(&self) -> Option<Failure> {
        None
    }
}

/// Octets of a response or challenge: what a line of 12288 octets in base64 carries (RFC 4954 §4).
const OCTETS: usize = 12_288 / 4 * 3;

/// Responses of one exchange; the longest mechanism, SPNEGO with NTLM inside, needs four.
const RESPONSES: u8 = 8;

/// What an exchange can be given next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Response,
    Finding,
}

/// One exchange. It is made for one try and thrown away after it, whatever came of it. What does not
/// fit, a response to an inquiry or anything after the end, ends it as failed; so does too much.
pub struct Exchange {
    mechanism: Mechanism,
    awaits: Awaits,
    responses: u8,
    /// Gone after the end, with every secret of it.
    steps: Option<Box<dyn Steps>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({}, …)", self.mechanism)
    }
}

impl Exchange {
    /// The beginning of an exchange. Whether the mechanism is offered was asked before.
    #[must_use]
    pub fn new(mechanism: Mechanism, setting: Setting) -> Exchange {
        let steps = Some(crate::sasl::steps(mechanism, setting));
        Exchange { mechanism, awaits: Awaits::Response, responses: 0, steps }
    }

    /// Which mechanism it is.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What the client sent: first the initial response if there was one, then the answer to each challenge.
    pub fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let first = self.responses == 0;
        self.responses = self.responses.saturating_add(1);
        let fits = self.awaits == Awaits::Response && response.map_or(first, |octets| octets.len() <= OCTETS);
        let step = match &mut self.steps {
            Some(steps) if fits && self.responses <= RESPONSES => steps.respond(response),
            Some(_) if fits => Step::Failed(Failure::Refused { name: None, secret: None, why: Why::TooLong }),
            _ => Step::Failed(Failure::Malformed),
        };
        self.taken(step)
    }

    /// What the directories found.
    pub fn found(&mut self, finding: Finding) -> Step {
        let step = match &mut self.steps {
            Some(steps) if self.awaits == Awaits::Finding => steps.found(finding),
            _ => Step::Failed(Failure::Unavailable),
        };
        self.taken(step)
    }

    /// The failure that stands already, if the client gives up now. Some mechanisms tell a client that it
    /// has failed by one more challenge (RFC 7628 §3.2.3); cancelling there must not make the try uncounted.
    #[must_use]
    pub fn decided(&self) -> Option<Failure> {
        self.steps.as_ref().and_then(|steps| steps.decided())
    }

    /// Remembers what the step asks for.
    fn taken(&mut self, step: Step) -> Step {
        match &step {
            Step::Challenge(octets) if octets.len() <= OCTETS => self.awaits = Awaits::Response,
            Step::Inquire(_) => self.awaits = Awaits::Finding,
            Step::Proved(_) | Step::Failed(_) => self.steps = None,
            // No client would take it. Only what others hold can be so long.
            Step::Challenge(_) => {
                self.steps = None;
                return Step::Failed(Failure::Unavailable);
            }
        }
        step
    }
}
