//! What an operator should hear of: files that were not read, servers that do not answer.

use std::fmt;
use std::sync::Arc;

/// Something that has happened to a directory. It never has a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The name of the directory in the settings.
    pub directory: Box<str>,
    /// What has happened.
    pub what: Happening,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A new state of its file is in use.
    Read,
    /// A new state of its file is bad; the last good one stays in use.
    NotRead(String),
    /// A server does not answer; others are asked until it has rested.
    Down {
        /// The server as the settings name it.
        server: Box<str>,
        /// Why.
        why: String,
    },
    /// A server answers again.
    Up {
        /// The server as the settings name it.
        server: Box<str>,
    },
    /// It answers, but not what was asked: settings or rights are wrong.
    Unanswered(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}: {}", self.directory, self.what)
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::Read => f.write_str("read again"),
            Happening::NotRead(why) => write!(f, "not read again, what was read before stays: {why}"),
            Happening::Down { server, why } => write!(f, "{server} does not answer: {why}"),
            Happening::Up { server } => write!(f, "{server} answers again"),
            Happening::Unanswered(why) => write!(f, "cannot be asked: {why}"),
        }
    }
}

/// Whoever hears notices. It is called where things happen, so it must not wait.
pub type Hear = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Tells notices of one directory.
#[derive(Clone)]
pub(crate) struct Teller {
    directory: Box<str>,
    hear: Hear,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Teller({})", self.directory)
    }
}

impl Teller {
    pub(crate) fn new(directory: &str, hear: Hear) -> Teller {
        Teller { directory: directory.into(), hear }
    }

    #[cfg(test)]
    pub(crate) fn silent() -> Teller {
        Teller::new("test", Arc::new(|_| {}))
    }

    pub(crate) fn tell(&self, what: Happening) {
        (self.hear)(&Notice { directory: self.directory.clone(), what });
    }
}
