//! Reports for a terminal of 100 columns.

use crate::audit::{Audit, Loan, Permission, Place, ServerAudit};
use crate::exposure::Exposure;
use crate::findings::{Finding, Severity};
use crate::plan::{Direction, Line, Plan};
use crate::proof::{Broken, Outcome, Proof};
use crate::rows::{self, Words};
use config::Config;
use std::fmt::Write;

/// The columns of a line.
const COLUMNS: usize = 100;

/// What an audit says.
#[must_use]
pub fn audit(audit: &Audit) -> String {
    let mut out = format!("{}: {}.\n", audit.file, summary(audit));
    for finding in &audit.findings {
        out.push('\n');
        out.push_str(&self::finding(finding));
    }
    for server in &audit.servers {
        out.push('\n');
        out.push_str(&self::server(server));
    }
    if !audit.loans.is_empty() {
        out.push_str("\nLent addresses, at every virtual server\n");
        audit.loans.iter().for_each(|loan| out.push_str(&self::loan(loan)));
    }
    out.push('\n');
    out.push_str(&exposure(&audit.exposure));
    out
}

/// How many findings there are of each severity.
#[must_use]
pub fn summary(audit: &Audit) -> String {
    let count = |severity| audit.findings.iter().filter(|finding| finding.severity == severity).count();
    let kinds = [
        (Severity::Critical, "critical", "critical"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Notice, "notice", "notices"),
    ];
    let said = kinds.into_iter().filter_map(|(severity, one, many)| match count(severity) {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { "no findings".to_owned() } else { said.join(", ") }
}

fn finding(finding: &Finding) -> String {
    let mut out = format!("{:<9} {}\n", finding.severity.word().to_uppercase(), finding.id);
    let mut say = |label: &str, text: &str| out.push_str(&labelled(2, label, text));
    say("", &finding.what);
    say("why", &finding.why);
    say("mend", &finding.mend);
    say("where", &finding.rule.to_string());
    if let Some(witness) = &finding.witness {
        out.push_str(&command(2, "see", witness));
    }
    out
}

fn server(server: &ServerAudit) -> String {
    let role = server.role.as_ref().map(|role| format!(" (role {role})")).unwrap_or_default();
    let mut out =
        wrapped(&format!("Virtual server {}{role}, listening on {}", server.name, server.listen.join(", ")), 0, 4);
    let inside = format!("\n  May send to recipients inside (submit): {}\n", none(&server.submit));
    let outside = format!("\n  May send to recipients outside (relay): {}\n", none(&server.relay));
    for (title, list) in [(inside, &server.submit), (outside, &server.relay)] {
        out.push_str(title.trim_end_matches([' ', '\n']));
        out.push('\n');
        list.iter().for_each(|permission| out.push_str(&self::permission(permission)));
    }
    if let Some(filtered) = &server.filtered {
        out.push_str("\n  Refused by the sender filter:\n");
        out.push_str(&wrapped(&format!("mail of {}", filtered.whose), 4, 8));
        out.push_str(&labelled(8, "as", &filtered.from()));
        out.push_str(&labelled(8, "by", &filtered.rule.to_string()));
    }
    out
}

fn none(list: &[Permission]) -> &'static str {
    if list.is_empty() { "nobody." } else { "" }
}

fn permission(permission: &Permission) -> String {
    let mut out = wrapped(&permission.words.who, 4, 8);
    let from = permission.words.origin();
    out.push_str(&words(&permission.words, &from, 8));
    out.push_str(&labelled(8, "by", &places(&permission.rules, permission.rules_in_all)));
    out
}

/// Rules, the first few of `in_all`. Entries of one list that follow each other share its key.
pub(crate) fn places(rules: &[Place], in_all: usize) -> String {
    let list = |place: &Place| place.key.rsplit_once('[').map(|(list, _)| list.to_owned());
    let mut said = Vec::new();
    for (at, place) in rules.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| list(&rules[before]));
        let behind = rules.get(at + 1);
        let key = match list(place) {
            Some(own) if before.as_ref() == Some(&own) => place.key[own.len()..].to_owned(),
            _ => place.key.clone(),
        };
        let shares_line =
            behind.is_some_and(|next| next.line == place.line && list(next).is_some() && list(next) == list(place));
        said.push(if shares_line { key } else { Place { key, line: place.line }.to_string() });
    }
    match in_all - rules.len() {
        0 => said.join(", "),
        more => format!("{} and {more} more", said.join(", ")),
    }
}

/// All but who.
fn words(words: &Words, from: &str, indent: usize) -> String {
    let mut out = labelled(indent, "from", from);
    out.push_str(&labelled(indent, "as", &words.sender));
    out.push_str(&labelled(indent, "to", &words.to));
    out
}

fn loan(loan: &Loan) -> String {
    let until = loan.until.as_ref().map(|end| format!(", until {end}")).unwrap_or_default();
    let mut out = wrapped(&loan.who, 4, 8);
    out.push_str(&labelled(8, "as", &format!("{}{until}", rows::said(&loan.addresses, "and"))));
    out.push_str(&labelled(8, "by", &loan.rule.to_string()));
    out
}

fn exposure(map: &[Exposure]) -> String {
    let mut out = "Where a secret could be lost\n".to_owned();
    if map.is_empty() {
        out.push_str("  nowhere: no virtual server asks for one.\n");
        return out;
    }
    let width = |text: fn(&Exposure) -> &str| map.iter().map(|one| text(one).len()).max().unwrap_or_default();
    let (server, mechanism) = (width(|one| &one.server), width(|one| &one.mechanism));
    for one in map {
        let read =
            if one.in_the_clear { format!("who listens learns {}", one.read.words()) } else { "TLS only".to_owned() };
        let strangers = if one.from_strangers { ", strangers among them" } else { "" };
        let guessed = if one.guessed {
            format!("can be guessed from {}{strangers}", one.from)
        } else {
            "cannot be guessed".to_owned()
        };
        let line = one.rule.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let text = format!("{:<server$}  {:<mechanism$}  {read}; {guessed}{line}", one.server, one.mechanism);
        out.push_str(&wrapped(&text, 2, server + mechanism + 6));
    }
    out
}

/// What a plan says.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    if plan.lines.is_empty() {
        return format!("{} -> {}: nothing changes in who may do what.\n", plan.old, plan.new);
    }
    let count = |direction| plan.lines.iter().filter(|line| line.direction == direction).count();
    let mut out = format!(
        "{} -> {}: {} wider, {} narrower, {} sideways.\n",
        plan.old,
        plan.new,
        count(Direction::Wider),
        count(Direction::Narrower),
        count(Direction::Sideways)
    );
    for line in &plan.lines {
        out.push('\n');
        out.push_str(&self::line(line));
    }
    out
}

fn line(line: &Line) -> String {
    let mark = match line.direction {
        Direction::Wider => "+ WIDER   ",
        Direction::Narrower => "- narrower",
        Direction::Sideways => "~ sideways",
    };
    let server = line.server.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let who = line.words.as_ref().map(|words| subject(words, &line.what)).unwrap_or_else(|| line.what.clone());
    let mut out = wrapped(&format!("{mark}  {server}{who}"), 0, 12);
    if let Some(words) = &line.words {
        // The link stands in the sentence: it is often what has changed.
        out.push_str(&self::words(words, &words.from, 12));
    }
    if !line.by.rules.is_empty() {
        out.push_str(&labelled(12, "by", &places(&line.by.rules, line.by.in_all)));
    }
    if !line.was.rules.is_empty() {
        out.push_str(&labelled(12, "was", &format!("by {}", places(&line.was.rules, line.was.in_all))));
    }
    if let Some(witness) = &line.witness {
        out.push_str(&command(12, "see", &witness.to_string()));
    }
    out
}

/// A sentence: who may what, and how if it matters; of a mark, whose mail.
fn subject(words: &Words, what: &str) -> String {
    let of = if what.starts_with("is ") { "mail of " } else { "" };
    format!("{of}{} {what} {}", words.who, words.link).trim_end().to_owned()
}

/// What became of the invariants of the settings that are called `file`.
#[must_use]
pub fn invariants(file: &str, config: &Config, proofs: &[Proof]) -> String {
    let mut out = String::new();
    for proof in proofs {
        let invariant = &config.invariants[proof.invariant];
        let name = &invariant.name;
        let broken = match &proof.outcome {
            Outcome::Holds { classes } => {
                out.push_str(&wrapped(&format!("{name} holds, proved over {classes} classes of session"), 2, 4));
                continue;
            }
            Outcome::Unproved(why) => {
                out.push_str(&wrapped(&format!("{name} COULD NOT BE PROVED: {why}"), 2, 4));
                continue;
            }
            Outcome::Broken(all) => all,
        };
        for one in broken {
            out.push_str(&wrapped(&format!("{name} IS BROKEN at {}", one.server), 2, 4));
            out.push_str(&wrapped(&invariant.to_string(), 4, 6));
            out.push_str(&self::broken(file, config, one));
        }
    }
    out
}

fn broken(file: &str, config: &Config, broken: &Broken) -> String {
    let mut out = labelled(4, "but", &broken.what);
    out.push_str(&labelled(4, "from", &broken.addresses.to_string()));
    if let Some(place) = broken.place(&config.book) {
        out.push_str(&labelled(4, "by", &place.to_string()));
    }
    if let Some(since) = broken.since {
        out.push_str(&labelled(4, "since", &since.to_string()));
    }
    out.push_str(&command(4, "see", &broken.witness.command(file)));
    out
}

/// What speaks against settings: by what it is known, what it is, and a command that shows it.
#[must_use]
pub fn objection(id: &str, what: &str, witness: Option<&str>) -> String {
    let witness = witness.map(|witness| command(4, "see", witness)).unwrap_or_default();
    format!("{}{}{witness}", wrapped(id, 2, 4), wrapped(what, 4, 4))
}

/// A sentence, and below it a command line that can be pasted.
#[must_use]
pub fn advice(sentence: &str, line: &str) -> String {
    format!("{}{}", wrapped(sentence, 0, 2), command(0, "", line))
}

/// A label and its text, hung behind it.
fn labelled(indent: usize, label: &str, text: &str) -> String {
    if label.is_empty() {
        return wrapped(text, indent, indent + 2);
    }
    wrapped(&format!("{label:<5} {text}"), indent, indent + 6)
}

/// A command line that can be pasted: broken lines end with a backslash.
fn command(indent: usize, label: &str, text: &str) -> String {
    let hang = indent + 6;
    let mut out = String::new();
    let mut line = format!("{:indent$}{label:<5}", "");
    for word in shell_words(text) {
        if line.len() + 1 + word.len() + 2 > COLUMNS && line.trim_start().len() > label.len() {
            let _ = writeln!(out, "{line} \\");
            line = format!("{:>1$}", "", hang + 1);
        }
        if !line.ends_with(' ') || line.trim().is_empty() {
            line.push_str(if line.trim().is_empty() { "" } else { " " });
        } else {
            line.push(' ');
        }
        line.push_str(&word);
    }
    let _ = writeln!(out, "{line}");
    out
}

/// An option and its value stay together, and so does what stands in quotes.
fn shell_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for word in text.split(' ') {
        let joins = open
            || words
                .last()
                .is_some_and(|last| last.starts_with("--") && !last.contains(' ') && !word.starts_with("--"));
        match words.last_mut() {
            Some(last) if joins => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        open ^= word.matches('\'').count() % 2 == 1;
    }
    words
}

/// Text in lines of no more than the columns there are, the first indented and the others hung.
fn wrapped(text: &str, indent: usize, hang: usize) -> String {
    // A line and its number stay together.
    let text = text.replace("(line ", "(line\u{a0}");
    let mut out = String::new();
    let mut line = " ".repeat(indent);
    let mut columns = indent;
    let mut is_empty = true;
    for (at, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if at > 0 && !is_empty && columns + 1 + width > COLUMNS {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(hang);
            columns = hang;
            is_empty = true;
        } else if at > 0 {
            line.push(' ');
            columns += 1;
        }
        line.push_str(word);
        columns += width;
        is_empty &= word.is_empty();
    }
    let _ = writeln!(out, "{}", line.trim_end());
    out.replace('\u{a0}', " ")
}
