//! Why somebody is at the stage they are at.

use std::fmt;
use std::str::FromStr;

/// How far somebody has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing is the matter.
    #[default]
    Open,
    /// Answers come slowly.
    Slow,
    /// Messages are held.
    Hold,
    /// Nothing is taken any more, until somebody says otherwise.
    Suspend,
}

impl Stage {
    /// All but the first, in order.
    pub const REACHED: [Stage; 3] = [Stage::Slow, Stage::Hold, Stage::Suspend];

    /// The word in the log, in counters and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Open => "open",
            Stage::Slow => "slow",
            Stage::Hold => "hold",
            Stage::Suspend => "suspend",
        }
    }
}

/// What is counted against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Messages.
    Messages,
    /// Recipients.
    Recipients,
    /// Different recipients.
    Distinct,
}

/// Over which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The last hour.
    Hour,
    /// The last day.
    Day,
}

/// Why somebody is at a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A count has come near its limit, or beyond it.
    Amount {
        /// What was counted.
        measure: Measure,
        /// Over which time.
        span: Span,
        /// How many there were.
        count: u32,
        /// How many there may be.
        limit: u32,
    },
    /// So many of the recipients of the last hour were refused.
    Refused {
        /// Refused ones.
        refused: u32,
        /// All of them.
        named: u32,
    },
    /// A client greets by many names.
    HelloNames(u32),
    /// A client sends for many domains.
    SenderDomains(u32),
    /// So many are suspended that nobody else can be counted.
    TooManySuspended,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Amount { measure, span, count, limit } => {
                let what = match measure {
                    Measure::Messages => "messages",
                    Measure::Recipients => "recipients",
                    Measure::Distinct => "different recipients",
                };
                let span = match span {
                    Span::Hour => "an hour",
                    Span::Day => "a day",
                };
                write!(f, "{count} {what} in {span}, and {limit} is the limit")
            }
            Cause::Refused { refused, named } => write!(f, "{refused} of {named} recipients refused in an hour"),
            Cause::HelloNames(count) => write!(f, "{count} names in HELO within an hour"),
            Cause::SenderDomains(count) => write!(f, "{count} domains of senders within an hour"),
            Cause::TooManySuspended => f.write_str("too many others are suspended to count this one"),
        }
    }
}

impl Cause {
    /// As it stands in the file.
    pub(crate) fn word(&self) -> String {
        match self {
            Cause::Amount { measure, span, count, limit } => {
                let measure = match measure {
                    Measure::Messages => "messages",
                    Measure::Recipients => "recipients",
                    Measure::Distinct => "distinct",
                };
                let span = match span {
                    Span::Hour => "hour",
                    Span::Day => "day",
                };
                format!("{measure}:{span}:{count}:{limit}")
            }
            Cause::Refused { refused, named } => format!("refused:{refused}:{named}"),
            Cause::HelloNames(count) => format!("hello:{count}"),
            Cause::SenderDomains(count) => format!("domains:{count}"),
            Cause::TooManySuspended => "crowd".to_owned(),
        }
    }
}

impl FromStr for Cause {
    type Err = ();

    fn from_str(text: &str) -> Result<Cause, ()> {
        let words: Vec<&str> = text.split(':').collect();
        let number = |text: &str| text.parse::<u32>().map_err(|_| ());
        let amount = |measure, span: &str, count: &str, limit: &str| {
            let span = match span {
                "hour" => Span::Hour,
                "day" => Span::Day,
                _ => return Err(()),
            };
            Ok(Cause::Amount { measure, span, count: number(count)?, limit: number(limit)? })
        };
        match words[..] {
            ["messages", span, count, limit] => amount(Measure::Messages, span, count, limit),
            ["recipients", span, count, limit] => amount(Measure::Recipients, span, count, limit),
            ["distinct", span, count, limit] => amount(Measure::Distinct, span, count, limit),
            ["refused", refused, named] => Ok(Cause::Refused { refused: number(refused)?, named: number(named)? }),
            ["hello", count] => Ok(Cause::HelloNames(number(count)?)),
            ["domains", count] => Ok(Cause::SenderDomains(number(count)?)),
            ["crowd"] => Ok(Cause::TooManySuspended),
            _ => Err(()),
        }
    }
}
