//! The audit as one page: no script, nothing fetched, to be mailed or filed.

use crate::audit::{Audit, Permission, ServerAudit};
use crate::findings::{Finding, Severity};
use crate::text;
use std::fmt::Write;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222;background:#fff}\
h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px solid #ccc}h3{font-size:1em}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35em .8em .35em 0;\
border-bottom:1px solid #e5e5e5}th{font-weight:600}code,pre{font:13px/1.4 ui-monospace,monospace}\
pre{white-space:pre-wrap;background:#f6f6f6;padding:.6em}section{border-left:.4em solid #999;padding:.1em 1em;\
margin:1em 0}section.critical{border-color:#b00020}section.warning{border-color:#c77700}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#222}th,td{border-color:#333}}";

/// What an audit says, as a page.
#[must_use]
pub fn audit(audit: &Audit) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let title = escaped(&audit.file);
    let _ = writeln!(out, "<title>Audit of {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>");
    let _ = writeln!(out, "<h1>Audit of {title}</h1>\n<p>{}.</p>", escaped(&text::summary(audit)));
    for finding in &audit.findings {
        self::finding(&mut out, finding);
    }
    for server in &audit.servers {
        self::server(&mut out, server);
    }
    loans(&mut out, audit);
    exposure(&mut out, audit);
    out.push_str("</body>\n</html>\n");
    out
}

fn finding(out: &mut String, finding: &Finding) {
    let class = match finding.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let _ = writeln!(out, "<section class=\"{class}\">\n<h3>{class}: {}</h3>", escaped(&finding.id));
    let _ = writeln!(out, "<p><b>{}</b> {}</p>", escaped(&finding.what), escaped(&finding.why));
    let place = escaped(&finding.rule.to_string());
    let _ = writeln!(out, "<p>To mend it: {}</p>\n<p>Where: <code>{place}</code></p>", escaped(&finding.mend));
    if let Some(witness) = &finding.witness {
        let _ = writeln!(out, "<pre>{}</pre>", escaped(witness));
    }
    out.push_str("</section>\n");
}

fn server(out: &mut String, server: &ServerAudit) {
    let role = server.role.as_ref().map(|role| format!(", role {role}")).unwrap_or_default();
    let _ = writeln!(out, "<h2>Virtual server {}{}</h2>", escaped(&server.name), escaped(&role));
    let _ = writeln!(out, "<p>Listens on {}.</p>", escaped(&server.listen.join(", ")));
    permissions(out, "May send to recipients inside (submit)", &server.submit);
    permissions(out, "May send to recipients outside (relay)", &server.relay);
    if let Some(filtered) = &server.filtered {
        let _ = writeln!(out, "<h3>Refused by the sender filter</h3>");
        let (whose, from) = (escaped(&filtered.whose), escaped(&filtered.from()));
        let rule = escaped(&filtered.rule.to_string());
        let _ = writeln!(out, "<p>Mail of {whose}, as {from}. <code>{rule}</code></p>");
    }
}

fn permissions(out: &mut String, title: &str, list: &[Permission]) {
    let _ = writeln!(out, "<h3>{title}</h3>");
    if list.is_empty() {
        out.push_str("<p>Nobody.</p>\n");
        return;
    }
    out.push_str("<table>\n<tr><th>Who<th>From<th>As<th>To<th>By</tr>\n");
    for permission in list {
        let words = &permission.words;
        let rules = text::places(&permission.rules, permission.rules_in_all);
        let cells = [words.who.clone(), words.origin(), words.sender.clone(), words.to.clone()];
        let cells: Vec<String> = cells.iter().map(|cell| format!("<td>{}", escaped(cell))).collect();
        let _ = writeln!(out, "<tr>{}<td><code>{}</code></tr>", cells.join(""), escaped(&rules));
    }
    out.push_str("</table>\n");
}

fn loans(out: &mut String, audit: &Audit) {
    if audit.loans.is_empty() {
        return;
    }
    out.push_str("<h2>Lent addresses</h2>\n<table>\n<tr><th>To<th>Addresses<th>Until<th>By</tr>\n");
    for loan in &audit.loans {
        let until = loan.until.as_deref().unwrap_or("no end");
        let cells = [loan.who.as_str(), &loan.addresses.join(", "), until].map(|cell| format!("<td>{}", escaped(cell)));
        let _ = writeln!(out, "<tr>{}<td><code>{}</code></tr>", cells.join(""), escaped(&loan.rule.to_string()));
    }
    out.push_str("</table>\n");
}

fn exposure(out: &mut String, audit: &Audit) {
    out.push_str("<h2>Where a secret could be lost</h2>\n");
    if audit.exposure.is_empty() {
        out.push_str("<p>Nowhere: no virtual server asks for one.</p>\n");
        return;
    }
    out.push_str(
        "<table>\n<tr><th>Virtual server<th>Mechanism<th>Who listens learns<th>Can be guessed from<th>By</tr>\n",
    );
    for one in &audit.exposure {
        let from = if one.guessed { one.from.as_str() } else { "nowhere" };
        let read = if one.in_the_clear { one.read.words() } else { "nothing: TLS only" };
        let cells = [one.server.as_str(), one.mechanism.as_str(), read, from];
        let cells: Vec<String> = cells.iter().map(|cell| format!("<td>{}", escaped(cell))).collect();
        let _ = writeln!(out, "<tr>{}<td><code>{}</code></tr>", cells.join(""), escaped(&one.rule.to_string()));
    }
    out.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
