//! An exception with an end: who answers for an entry of a list or a grant, why it is there, and when it ends.

use crate::decision::Trace;
use crate::rule_book::RuleId;
use mail::{Day, Timestamp};
use std::time::Duration;

/// What is said about an entry or a grant beside what it grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Who answers for it.
    pub owner: Option<Box<str>>,
    /// Why it is there.
    pub reason: Option<Box<str>>,
    /// The first moment at which it does not hold any more; `None`: it has no end.
    pub expires: Option<Timestamp>,
}

impl Term {
    /// Whether it holds no longer.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }
    /// The last day on which it holds, such as `2027-01-31`, in UTC.
    #[must_use]
    pub fn last_day(&self) -> Option<String> {
        let end = self.expires?.millis().checked_sub(1)?;
        Timestamp::from_millis(end).to_string().get(..10).map(str::to_owned)
    }

    /// The same, but holding for `span` from `now` on, to the end of that day.
    pub(crate) fn renewed(&self, now: Timestamp, span: Duration) -> Term {
        let day = now.after(span).to_string();
        let expires = day.get(..10).and_then(|day| day.parse::<Day>().ok()).map(Day::ends);
        Term { expires, ..self.clone() }
    }
}

/// Whether one of these entries of a list holds, which all mean whoever is asked about. Adds the step of the first that
/// does, or that of the list; before it, those of entries that would have and are over.
pub(crate) fn one_holds<'a>(
    entries: impl Iterator<Item = (RuleId, &'a Term)>,
    list: RuleId,
    now: Timestamp,
    trace: &mut Trace,
) -> bool {
    for (rule, term) in entries {
        if !term.is_over(now) {
            trace.matched(rule);
            return true;
        }
        trace.expired(rule);
    }
    trace.no_match(list);
    false
}
