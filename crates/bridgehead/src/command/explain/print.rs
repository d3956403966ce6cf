//! Explanations for a person in a terminal of 100 columns.

use gateway::DecisionView;
use gateway::explain::{EditView, Explained, StepView};
use std::fmt::Write;

/// Columns of a terminal.
const COLUMNS: usize = 100;

/// A question with its answer, every rule tried, and what would turn it round.
pub(super) fn explained(question: &str, explained: &Explained) -> String {
    let mut out = String::new();
    let Explained { answer, refused, steps, edits } = explained;
    let unknown = *refused && steps.is_empty();
    let word = if *refused && !unknown { "refused, " } else { "" };
    // A reply is not broken: it is searched for as it stands.
    let together = format!("{question}: {word}{answer}");
    if together.chars().count() <= COLUMNS {
        line(&mut out, &together);
    } else {
        line(&mut out, format!("{question}: {word}").trim_end());
        line(&mut out, &format!("    {answer}"));
    }
    for step in steps {
        line(&mut out, &format!("    {}", rule(step)));
        step.tested.iter().for_each(|tested| wrapped(&mut out, 8, tested));
    }
    match edits.first() {
        Some(edit) if *refused => nearest(&mut out, edit),
        // Nobody has asked for it to be refused: where that would be done is enough.
        Some(edit) => wrapped(&mut out, 4, &format!("nearest edit to refuse it: {}", place(edit))),
        None if *refused && steps.iter().any(|step| !step.built_in) => {
            line(&mut out, "    no single edit of the settings would let it through");
        }
        None => {}
    }
    out
}

/// A rule and what came of it.
fn rule(step: &StepView) -> String {
    let StepView { key, line, built_in, finding, .. } = step;
    match line {
        Some(line) => format!("{key} (line {line}): {finding}"),
        None if *built_in => format!("{key}: {finding}"),
        None => format!("{key} (default): {finding}"),
    }
}

/// Where an edit is made, and what it does.
fn place(edit: &EditView) -> String {
    match edit.line {
        Some(line) => format!("{} (line {line}): {}", edit.key, edit.what),
        None => format!("{} (not written): {}", edit.key, edit.what),
    }
}

fn nearest(out: &mut String, edit: &EditView) {
    wrapped(out, 4, &format!("nearest edit to let it through: {}", place(edit)));
    for toml in &edit.toml {
        line(out, &format!("        {toml}"));
    }
    edit.also.iter().for_each(|whom| wrapped(out, 4, &format!("this also opens it to {whom}")));
}

/// A past refusal.
pub(super) fn past(view: &DecisionView) -> String {
    let mut out = String::new();
    let who = view.identity.as_deref().unwrap_or("not authenticated");
    line(&mut out, &format!("decision {} of {}", view.id, view.at));
    line(&mut out, &format!("virtual server {}, client {}, {who}", view.server, view.client));
    out.push_str(&explained(&view.question, &view.then));
    match &view.now {
        Some(now) => {
            line(&mut out, "by the settings of now:");
            out.push_str(&explained(&view.question, now));
        }
        None if view.is_there => line(&mut out, "the settings of now decide the same"),
        None => line(&mut out, "there is no virtual server of that name now"),
    }
    out
}

/// What to do about a decision that is not known any more.
pub(super) fn forgotten(id: &str, kept: usize) -> String {
    format!(
        "the gateway does not know decision {id}: it keeps about the last {kept} refusals of this start. \
         The line of the log with decision={id} names the client, its account, the addresses and the rules; describe that session \
         with --server, --client and so on"
    )
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", clean(text));
}

/// Words in as many lines as they need, each indented.
fn wrapped(out: &mut String, indent: usize, text: &str) {
    let mut current = " ".repeat(indent);
    for word in clean(text).split(' ') {
        let is_empty = current.trim().is_empty();
        if !is_empty && current.chars().count() + 1 + word.chars().count() > COLUMNS {
            line(out, &current);
            current = " ".repeat(indent + 4);
        } else if !is_empty {
            current.push(' ');
        }
        current.push_str(word);
    }
    line(out, &current);
}

/// What a client has said must not move the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Explained {
        let step = |key: &str, line, built_in, finding: &str, tested: &str| StepView {
            key: key.to_owned(),
            line,
            built_in,
            finding: finding.to_owned(),
            tested: Some(tested.to_owned()),
        };
        let names = "client 192.0.2.1 is called a-rather-long-name.of-a-host.partner.example, another.partner.example: \
                     neither devices.example nor below it";
        Explained {
            answer: "550 5.7.1 Unable to relay for bob@ext.example".to_owned(),
            refused: true,
            steps: vec![
                step("built-in.address_literal", None, true, "no match", "bob@ext.example is at a domain"),
                step("virtual_server.inbound.relay.list[0]", Some(31), false, "no match", names),
                step("virtual_server.inbound.relay.mode", None, false, "match", "only clients on the list may relay"),
            ],
            edits: vec![EditView {
                key: "virtual_server.inbound.relay.list".to_owned(),
                line: Some(31),
                what: "renew \"10.0.0.0/24\"".to_owned(),
                toml: vec!["[virtual_server.inbound.relay]".to_owned(), "list = [\"devices.example\"]".to_owned()],
                also: Some("all 256 addresses of 10.0.0.0/24".to_owned()),
            }],
        }
    }

    #[test]
    fn a_refusal_is_told_within_100_columns() {
        let text = explained("RCPT TO:<bob@ext.example>", &refusal());
        assert_eq!(
            text,
            "\
RCPT TO:<bob@ext.example>: refused, 550 5.7.1 Unable to relay for bob@ext.example
    built-in.address_literal: no match
        bob@ext.example is at a domain
    virtual_server.inbound.relay.list[0] (line 31): no match
        client 192.0.2.1 is called a-rather-long-name.of-a-host.partner.example,
            another.partner.example: neither devices.example nor below it
    virtual_server.inbound.relay.mode (default): match
        only clients on the list may relay
    nearest edit to let it through: virtual_server.inbound.relay.list (line 31): renew \"10.0.0.0/24\"
        [virtual_server.inbound.relay]
        list = [\"devices.example\"]
    this also opens it to all 256 addresses of 10.0.0.0/24
"
        );
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
    }

    #[test]
    fn what_cannot_be_mended_is_said_and_what_a_client_said_is_harmless() {
        let mut told = refusal();
        told.edits.clear();
        told.answer = format!("550 \u{1b}[2J {}", "x".repeat(COLUMNS - 20));
        let text = explained("RCPT TO:<\u{7}>", &told);
        assert!(text.starts_with("RCPT TO:<?>: refused,\n    550 ?[2J x"), "{text}");
        assert!(text.ends_with("    no single edit of the settings would let it through\n"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
