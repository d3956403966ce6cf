//! A decision as a person reads it: the rules tried, what was compared with what, and the nearest change of the
//! settings that would turn it round. Plain values, which cross the control socket as JSON.

use mail::Ledger;
use policy::{Acceptance, Admission, Question, Routing, RuleBook, Rules, Trace, Verdict};
use serde::{Deserialize, Serialize};

/// Edits that are told of: the nearest, and what else comes into question.
const EDITS: usize = 5;

/// A decision, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// What was answered, in words or as the reply.
    pub answer: String,
    /// Whether that was a refusal.
    pub refused: bool,
    /// The rules tried, in order.
    pub steps: Vec<StepView>,
    /// Single changes of the settings that would turn it round, the nearest first.
    pub edits: Vec<EditView>,
}

/// One rule tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The rule.
    pub key: String,
    /// Its line in the settings file; none for a default and for a rule that is built in.
    pub line: Option<u32>,
    /// Whether it is built in.
    pub built_in: bool,
    /// What trying it showed.
    pub finding: String,
    /// What was compared with what.
    pub tested: Option<String>,
}

/// A change of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditView {
    /// The key.
    pub key: String,
    /// The line where it stands now.
    pub line: Option<u32>,
    /// What is done.
    pub what: String,
    /// As lines of the settings file; of a long list only what changes.
    pub toml: Vec<String>,
    /// Whom else it concerns; none: nobody.
    pub also: Option<String>,
}

impl Explained {
    /// Explains a decision of these rules, by its trace. `answer` is what was said, and whether it was a refusal: the
    /// reply then, words otherwise.
    #[must_use]
    pub fn new(
        (rules, book): (&Rules, &RuleBook),
        question: &Question<'_>,
        ledger: &Ledger,
        trace: &Trace,
        (answer, refused): (String, bool),
    ) -> Explained {
        let tested = policy::tested(rules, question, ledger, trace);
        let edits = policy::edits(rules, book, question, ledger).into_iter().take(EDITS);
        Explained { answer, refused, steps: steps(trace, book, tested), edits: edits.map(EditView::from).collect() }
    }

    /// Explains a route. It refuses nobody, so no edit would turn it round.
    #[must_use]
    pub fn route(
        routing: &Routing,
        book: &RuleBook,
        server: &str,
        recipient: &mail::Mailbox,
        trace: &Trace,
        answer: String,
    ) -> Explained {
        let tested = policy::tested_route(routing, server, recipient, trace);
        Explained { answer, refused: false, steps: steps(trace, book, tested), edits: Vec::new() }
    }

    /// Whether both came about by the same rules with the same findings; lines may have moved.
    #[must_use]
    pub fn is_same(&self, other: &Explained) -> bool {
        let path = |explained: &Explained| -> Vec<(String, String)> {
            explained.steps.iter().map(|step| (step.key.clone(), step.finding.clone())).collect()
        };
        self.refused == other.refused && path(self) == path(other)
    }
}

fn steps(trace: &Trace, book: &RuleBook, tested: Vec<Option<String>>) -> Vec<StepView> {
    let view = |(step, tested): (&policy::Step, Option<String>)| {
        let place = book.place(step.rule);
        StepView {
            key: place.key.to_owned(),
            line: place.line,
            built_in: step.rule.is_built_in(),
            finding: step.finding.to_string(),
            tested,
        }
    };
    trace.steps().iter().zip(tested.into_iter().chain(std::iter::repeat(None))).map(view).collect()
}

impl From<policy::Edit> for EditView {
    fn from(edit: policy::Edit) -> EditView {
        let policy::Edit { key, line, what, toml, also, .. } = edit;
        EditView { key, line, what, toml, also }
    }
}

/// What was granted, in words.
#[must_use]
pub fn granted(verdict: &Verdict, question: &Question<'_>) -> String {
    match (verdict, question) {
        (Verdict::Admitted(Admission::Admitted), _) => "admitted".to_owned(),
        (Verdict::Admitted(Admission::MustAuthenticate), _) => "admitted, must authenticate before MAIL".to_owned(),
        (Verdict::Submits(submission), _) if submission.marked => {
            "may submit, and the message is marked: the address is not its own".to_owned()
        }
        (Verdict::Submits(_), _) => "may submit".to_owned(),
        (Verdict::Accepted(Acceptance::Submitted { to }), Question::Recipient(facts)) if to != facts.recipient => {
            format!("submitted, as <{to}>")
        }
        (Verdict::Accepted(Acceptance::Submitted { .. }), _) => "submitted".to_owned(),
        (Verdict::Accepted(Acceptance::Relayed { .. }), _) => "relayed".to_owned(),
        (Verdict::Taken(taken), _) if taken.marks.is_empty() => "taken".to_owned(),
        (Verdict::Taken(taken), _) => {
            let places: Vec<&str> = taken.marks.iter().copied().map(crate::marks::place).collect();
            format!("taken, and marked: not its own in {}", places.join(", "))
        }
    }
}

/// A question as it is put in a session.
#[must_use]
pub fn words(question: &Question<'_>) -> String {
    match question {
        Question::Connection(_) => "connect".to_owned(),
        Question::Sender(facts) => format!("MAIL FROM:<{}>", facts.reverse_path),
        Question::Recipient(facts) => format!("RCPT TO:<{}>", facts.recipient),
        Question::Message(_) => "message".to_owned(),
    }
}
