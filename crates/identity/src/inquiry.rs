//! What a mechanism has to ask a directory, and what comes back.

use crate::exchange::{ClientCertificate, Link};
use crate::keys::ScramKeys;
use crate::secret::Secret;
use mail::{Account, Mailbox};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A question to the directories of a virtual server. Names are as the client spelt them; a directory
/// knows which spellings are the same account.
#[derive(Debug)]
pub enum Inquiry {
    /// Is this the password of that account?
    Password {
        /// The account.
        name: Box<str>,
        /// What the client says is its password.
        password: Secret,
    },
    /// What is a proof of SCRAM-SHA-256 checked by?
    ScramKeys {
        /// The account.
        name: Box<str>,
    },
    /// What is a proof of NTLM checked by?
    NtHash {
        /// The account.
        name: Box<str>,
        /// The domain that the client named; may be empty.
        domain: Box<str>,
    },
    /// Whose is this certificate? It has been verified already.
    Certificate {
        /// The certificate.
        certificate: Arc<ClientCertificate>,
        /// The account that the client says it is, if it says so; it must be that one.
        name: Option<Box<str>>,
    },
    /// Whose is this token?
    Token {
        /// The token.
        token: Secret,
        /// The account that the client says it is, if it says so; it must be that one.
        name: Option<Box<str>>,
    },
    /// The next step of an exchange that is held elsewhere: by a Kerberos library, by a helper.
    Converse {
        /// Which.
        package: Package,
        /// What the last step left; `None` at the first.
        conversation: Option<Conversation>,
        /// What the client sent.
        octets: Secret,
        /// What is known about the link, for channel binding.
        link: Option<Arc<Link>>,
        /// Whether a client that gives no channel binding is refused.
        binding_required: bool,
    },
    /// What is known of the account of this name? For whoever has it from somebody who is believed; nothing is
    /// proved by it.
    Account {
        /// The account.
        name: Box<str>,
    },
    /// Whose is this mailbox? Asked about recipients.
    Recipient {
        /// The mailbox.
        mailbox: Mailbox,
    },
}

impl Inquiry {
    /// The account that the client has named, if it has named one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Inquiry::Password { name, .. }
            | Inquiry::ScramKeys { name }
            | Inquiry::NtHash { name, .. }
            | Inquiry::Account { name } => Some(name),
            Inquiry::Certificate { name, .. } | Inquiry::Token { name, .. } => name.as_deref(),
            Inquiry::Converse { .. } | Inquiry::Recipient { .. } => None,
        }
    }
}

/// An exchange that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// GSSAPI (RFC 4752): Kerberos, with its layer negotiation.
    Gssapi,
    /// GSS-SPNEGO: whatever SPNEGO agrees on.
    Spnego,
    /// NTLM for accounts of a Windows domain.
    Ntlm,
}

/// What an exchange held elsewhere keeps between its steps. Dropping it ends the exchange.
pub struct Conversation(pub Box<dyn Any + Send>);

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conversation(…)")
    }
}

/// What the directories found.
pub enum Finding {
    /// The proof is good, or what was asked about exists: this is the account.
    Account(Arc<Account>),
    /// The proof is good, and this is the Kerberos principal or domain account that gave it; with the
    /// account, if it is one and not a machine or service.
    Principal(Box<str>, Option<Arc<Account>>),
    /// What the proof of SCRAM is checked by.
    ScramKeys(ScramKeys, Arc<Account>),
    /// What the proof of NTLM is checked by.
    NtHash(Secret, Arc<Account>),
    /// Send this, and go on with what the client answers.
    Challenge(Vec<u8>, Conversation),
    /// No such account, not its secret, not allowed to log in: which of them is for the log, not for
    /// the client.
    No(No),
    /// Could not be found out. Never a reason to accept.
    Unavailable,
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Account(account) => f.debug_tuple("Account").field(account).finish(),
            Finding::Principal(name, account) => f.debug_tuple("Principal").field(name).field(account).finish(),
            Finding::ScramKeys(keys, account) => f.debug_tuple("ScramKeys").field(keys).field(account).finish(),
            Finding::NtHash(hash, account) => f.debug_tuple("NtHash").field(hash).field(account).finish(),
            // What is in it can be tried against passwords.
            Finding::Challenge(_, conversation) => f.debug_tuple("Challenge").field(conversation).finish(),
            Finding::No(no) => f.debug_tuple("No").field(no).finish(),
            Finding::Unavailable => f.write_str("Unavailable"),
        }
    }
}

/// Why a directory says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// There is no such account.
    Unknown,
    /// The secret, token or certificate is not good.
    Wrong,
    /// The account is suspended, disabled, expired or locked.
    Suspended,
    /// There is such an account, but nothing that this mechanism could be checked by.
    NoSecret,
}
