//! How a scripted peer behaves: what it does at which step, and how often.

use std::time::Duration;

/// Where in a session a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before the greeting.
    Connect,
    /// EHLO and HELO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// In the middle of the content: after its first line.
    Content,
    /// After the final dot.
    Dot,
    /// BDAT, before its reply.
    Bdat,
    /// RSET.
    Reset,
    /// QUIT.
    Quit,
}

/// What a rule does instead of the polite answer.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says this reply, one or several lines, and goes on.
    Say(String),
    /// Says this reply and hangs up.
    SayAndDrop(String),
    /// Hangs up without a word.
    Drop,
    /// Says nothing until the other side gives up.
    Stall,
    /// Sends these bytes, whatever they are, and goes on.
    Bytes(Vec<u8>),
    /// Sends these bytes one by one, one a second.
    Drip(Vec<u8>),
    /// Sends these bytes again and again until the other side hangs up.
    Repeat(Vec<u8>),
    /// Does what is polite, after so long.
    Late(Duration),
}

impl Act {
    /// [`Act::Say`].
    #[must_use]
    pub fn say(reply: &str) -> Self {
        Self::Say(reply.to_owned())
    }
}

/// How a peer behaves.
#[derive(Clone, Debug)]
pub struct Script {
    extensions: Vec<String>,
    knows_ehlo: bool,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    at: At,
    containing: String,
    act: Act,
    times: usize,
}

impl Script {
    /// Accepts everything and offers the usual extensions.
    #[must_use]
    pub fn polite() -> Self {
        let extensions = ["PIPELINING", "SIZE 1000000000", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"];
        Self { extensions: extensions.map(str::to_owned).to_vec(), knows_ehlo: true, rules: Vec::new() }
    }

    /// Offers exactly these extensions.
    #[must_use]
    pub fn offering(mut self, extensions: &[&str]) -> Self {
        self.extensions = extensions.iter().map(|&extension| extension.to_owned()).collect();
        self
    }

    /// Knows only HELO.
    #[must_use]
    pub fn of_1982(mut self) -> Self {
        self.knows_ehlo = false;
        self
    }

    /// Does this whenever a session comes there.
    #[must_use]
    pub fn always(self, at: At, act: Act) -> Self {
        self.rule(at, "", act, usize::MAX)
    }

    /// Does this the first `times` times any session comes there.
    #[must_use]
    pub fn first(self, times: usize, at: At, act: Act) -> Self {
        self.rule(at, "", act, times)
    }

    /// Does this for each command that contains `containing`.
    #[must_use]
    pub fn when(self, at: At, containing: &str, act: Act) -> Self {
        self.rule(at, containing, act, usize::MAX)
    }

    fn rule(mut self, at: At, containing: &str, act: Act, times: usize) -> Self {
        self.rules.push(Rule { at, containing: containing.to_owned(), act, times });
        self
    }

    pub(crate) fn knows_ehlo(&self) -> bool {
        self.knows_ehlo
    }

    pub(crate) fn extensions(&self) -> Vec<String> {
        self.extensions.clone()
    }

    /// What is to be done there, if it is not what is polite.
    pub(crate) fn take(&mut self, at: At, line: &str) -> Option<Act> {
        let applies = |rule: &&mut Rule| rule.at == at && rule.times > 0 && line.contains(&rule.containing);
        let rule = self.rules.iter_mut().find(applies)?;
        rule.times -= usize::from(rule.times != usize::MAX);
        Some(rule.act.clone())
    }
}
