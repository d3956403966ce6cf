//! How a simulated peer behaves, in words that stand in a transcript.
//!
//! `polite` does nothing unusual. `down` refuses connections, `void` never answers them, `short` finds us without a descriptor; `plain`
//! knows no extensions; `tls` offers STARTTLS, `tls:NAME` with a certificate for that name. Trouble
//! is written `WHAT-STAGE`, as in `refuse-rcpt`, `defer-dot`, `drop-data`, `stall-mail`, `garble-hello`;
//! `lose-dot` takes the message and breaks the connection instead of saying so; `slow:200` takes up to
//! so many milliseconds for each reply;
//! `refuse-rcpt:<a@b>` troubles only that path. `trickle-STAGE` answers with a reply that never ends, an
//! octet a minute, `babble-STAGE` with one that never ends, at full speed; `sip-content` takes an octet
//! of the content a minute.

use std::str::FromStr;

/// Whether a connection can be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// It can.
    #[default]
    Open,
    /// It is refused.
    Down,
    /// Nothing comes back.
    Void,
    /// This host has no descriptor left to connect with.
    Short,
}

/// Where in a conversation trouble shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Instead of the greeting.
    Connect,
    /// At EHLO and HELO.
    Hello,
    /// At STARTTLS.
    StartTls,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Rcpt,
    /// At DATA or BDAT.
    Data,
    /// While the content is under way.
    Content,
    /// When the content is complete.
    Dot,
}

impl Stage {
    /// How a peer says never at this stage.
    #[must_use]
    pub fn refusal(self) -> &'static str {
        match self {
            Stage::Connect => "554 5.3.2 No service",
            Stage::Hello => "550 5.7.1 Not with you",
            Stage::StartTls => "554 5.7.0 Not now",
            Stage::Mail => "550 5.7.1 Sender refused",
            Stage::Rcpt => "550 5.1.1 User unknown",
            Stage::Data => "554 5.3.0 Refused",
            Stage::Content | Stage::Dot => "554 5.6.0 Content refused",
        }
    }

    /// How a peer says later at this stage.
    #[must_use]
    pub fn deferral(self) -> &'static str {
        match self {
            Stage::Connect => "421 4.3.2 Too busy",
            Stage::Hello => "421 4.3.2 Not ready",
            Stage::StartTls => "454 4.7.0 Not now",
            Stage::Mail => "451 4.3.0 Try later",
            Stage::Rcpt => "450 4.2.1 Mailbox busy",
            Stage::Data => "451 4.3.0 Try later",
            Stage::Content | Stage::Dot => "452 4.3.1 Disk full",
        }
    }
}

/// What a peer does at a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Answers 5yz.
    Refuse,
    /// Answers 4yz.
    Defer,
    /// Closes the connection.
    Drop,
    /// Never says another word.
    Stall,
    /// Says something that is no reply.
    Garble,
    /// Does what it was asked, and breaks the connection instead of saying so.
    Lose,
    /// Says an octet a minute, and never comes to an end.
    Trickle,
    /// Says line after line, and never comes to an end.
    Babble,
    /// Takes an octet of the content a minute.
    Sip,
}

/// How a peer behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mood {
    /// Whether a connection can be made.
    pub reach: Reach,
    /// Whether it answers EHLO.
    pub extensions: bool,
    /// Whether it offers STARTTLS.
    pub tls: bool,
    /// The name in its certificate, if not its own.
    pub certificate: Option<String>,
    /// How many milliseconds each reply takes.
    pub slow_ms: u64,
    troubles: Vec<(Stage, Trouble, Option<String>)>,
}

impl Default for Mood {
    fn default() -> Mood {
        Mood { reach: Reach::Open, extensions: true, tls: false, certificate: None, slow_ms: 0, troubles: Vec::new() }
    }
}

impl Mood {
    /// What happens at `stage`, when it is about `subject`.
    #[must_use]
    pub fn trouble_at(&self, stage: Stage, subject: &str) -> Option<Trouble> {
        let meant = |only: &Option<String>| only.as_ref().is_none_or(|only| subject.starts_with(only.as_str()));
        self.troubles.iter().find(|(at, _, only)| *at == stage && meant(only)).map(|(_, trouble, _)| *trouble)
    }

    fn add(&mut self, word: &str) -> Option<()> {
        let (word, detail) = match word.split_once(':') {
            Some((word, detail)) => (word, Some(detail.to_owned())),
            None => (word, None),
        };
        match word {
            "polite" => {}
            "down" => self.reach = Reach::Down,
            "void" => self.reach = Reach::Void,
            "short" => self.reach = Reach::Short,
            "plain" => self.extensions = false,
            "tls" => (self.tls, self.certificate) = (true, detail),
            "slow" => self.slow_ms = detail?.parse().ok()?,
            _ => {
                let (what, stage) = word.split_once('-')?;
                self.troubles.push((stage_named(stage)?, trouble_named(what)?, detail));
            }
        }
        Some(())
    }
}

fn trouble_named(word: &str) -> Option<Trouble> {
    Some(match word {
        "refuse" => Trouble::Refuse,
        "defer" => Trouble::Defer,
        "drop" => Trouble::Drop,
        "stall" => Trouble::Stall,
        "garble" => Trouble::Garble,
        "lose" => Trouble::Lose,
        "trickle" => Trouble::Trickle,
        "babble" => Trouble::Babble,
        "sip" => Trouble::Sip,
        _ => return None,
    })
}

fn stage_named(word: &str) -> Option<Stage> {
    Some(match word {
        "connect" => Stage::Connect,
        "hello" => Stage::Hello,
        "starttls" => Stage::StartTls,
        "mail" => Stage::Mail,
        "rcpt" => Stage::Rcpt,
        "data" => Stage::Data,
        "content" => Stage::Content,
        "dot" => Stage::Dot,
        _ => return None,
    })
}

impl FromStr for Mood {
    type Err = String;

    fn from_str(text: &str) -> Result<Mood, String> {
        let mut mood = Mood::default();
        for word in text.split_whitespace() {
            mood.add(word).ok_or_else(|| format!("no such mood: {word}"))?;
        }
        Ok(mood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_moods() {
        let mood: Mood = "tls:mx.example refuse-rcpt:<a@b> stall-dot".parse().unwrap();
        assert_eq!(mood.certificate.as_deref(), Some("mx.example"));
        assert_eq!(mood.trouble_at(Stage::Rcpt, "<a@b> NOTIFY=NEVER"), Some(Trouble::Refuse));
        assert_eq!(mood.trouble_at(Stage::Rcpt, "<c@d>"), None);
        assert_eq!(mood.trouble_at(Stage::Dot, ""), Some(Trouble::Stall));
        assert!("grumpy".parse::<Mood>().is_err() && "refuse-lunch".parse::<Mood>().is_err());
    }
}
