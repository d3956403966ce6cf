//! The log folded a second time, independently, and compared with the counters.
//!
//! Every event that is written down is counted in exactly one way, so that whoever has the log can work
//! out every counter of which the log tells.

use super::seen::Count;
use serde_json::Value;
use std::collections::BTreeMap;

/// Numbers by the name they have in the metrics, labels included.
type Numbers = BTreeMap<String, u64>;

/// Counters of what is never written down, or not an event.
const UNTOLD: [&str; 9] = [
    "bridgehead_door_",
    "bridgehead_inbound_connections",
    "bridgehead_outbound_connections_total",
    "bridgehead_outbound_connections_current",
    "bridgehead_messages_sent",
    "bridgehead_message_bytes_sent",
    "bridgehead_directory_drops",
    "bridgehead_queue_",
    "bridgehead_tls_certificate_days_left",
];
const LOST: &str = "bridgehead_log_lines_lost_total";

/// What does not agree, in words.
#[must_use]
pub(super) fn disagreements(count: &Count) -> Vec<String> {
    let counted = numbers(&count.metrics);
    let mut told = Numbers::new();
    for line in count.log.lines() {
        match serde_json::from_str(line) {
            Ok(event) => tell(&mut told, &event),
            Err(_) => return vec![format!("a line of the log is no event: {line:?}")],
        }
    }
    let lost = counted.get(LOST).copied().unwrap_or(0);
    let mut wrong = Vec::new();
    let mut missing = 0;
    for (name, told) in &told {
        let counted = counted.get(name).copied().unwrap_or(0);
        if *told > counted {
            wrong.push(format!("{name} is {counted}, and the log tells of {told}"));
        }
    }
    for (name, counted) in counted.iter().filter(|(name, _)| is_told(name)) {
        let told = told.get(name).copied().unwrap_or(0);
        if told < *counted {
            missing += 1;
            if lost == 0 {
                wrong.push(format!("{name} is {counted}, and the log tells of {told}"));
            }
        }
    }
    // Each lost line moved five counters at the most.
    if missing > lost * 5 && lost > 0 {
        wrong.push(format!("{missing} counters know more than the log, of which {lost} lines were lost"));
    }
    wrong
}

/// Whether nobody is inside, nothing is under way and nothing is queued.
#[must_use]
pub(super) fn is_quiet(metrics: &str) -> bool {
    unquiet(metrics).is_empty()
}

/// What says that somebody is inside, or something is queued or under way.
#[must_use]
pub(super) fn unquiet(metrics: &str) -> Vec<String> {
    let busy = |name: &str| name.contains("_connections_current") || name == "bridgehead_queue_messages";
    let numbers = numbers(metrics);
    numbers.iter().filter(|(name, n)| **n > 0 && busy(name)).map(|(name, n)| format!("{name} {n}")).collect()
}

/// The numbers in the text that monitoring is served.
fn numbers(metrics: &str) -> Numbers {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, n)| Some((name.to_owned(), n.parse().ok()?)))
        .collect()
}

fn is_told(name: &str) -> bool {
    name != LOST && !UNTOLD.iter().any(|untold| name.starts_with(untold))
}

/// Counts one line of the log.
fn tell(numbers: &mut Numbers, event: &Value) {
    let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| event.get(field).and_then(Value::as_u64).unwrap_or(0);
    let server = format!("server=\"{}\"", text("server"));
    let mut add = |name: &str, label: Option<&str>, n: u64| {
        let labels = match label {
            _ if text("server").is_empty() => String::new(),
            Some(label) => format!("{{{server},reason=\"{label}\"}}"),
            None => format!("{{{server}}}"),
        };
        *numbers.entry(format!("bridgehead_{name}_total{labels}")).or_default() += n;
    };
    match text("event") {
        "refused" => add("refused", Some(text("reason")), 1),
        "noted" => add("noted", Some(text("note")), 1),
        "secured" => add("tls_sessions", None, 1),
        "not-secured" => add("tls_failures", None, 1),
        "certificate-rejected" => add("tls_certificates_rejected", None, 1),
        "proxy-refused" => add("proxies_refused", None, 1),
        "received" => {
            add("messages_received", None, 1);
            add("message_bytes_received", None, number("bytes"));
            add("recipients_submitted", None, number("submitted"));
            add("recipients_relayed", None, number("recipients").saturating_sub(number("submitted")));
        }
        "not-taken" => add("messages_not_taken", None, 1),
        "held" => add("messages_held", None, 1),
        "sending-limit" => add("sending_limits", Some(text("stage")), 1),
        "grant-alarm" => add("grant_alarms", None, 1),
        "not-alerted" => add("alerts_failed", None, 1),
        ending @ ("delivered" | "relayed" | "deferred" | "failed") => add("recipient_outcomes", Some(ending), 1),
        "reported" => add("reports_generated", Some(text("kind")), 1),
        "bad-mail" => add("badmailed_messages", None, 1),
        "hop-refused" => add("outbound_connections_refused", None, 1),
        "reloaded" => add("reloads", None, 1),
        "reload-refused" => add("reloads_refused", None, 1),
        "spool-failed" => add("spool_failures", None, 1),
        "damaged" => add("spool_damages", None, 1),
        "fault" => add("faults", None, 1),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_missing_is_found() {
        let log = "{\"event\":\"refused\",\"server\":\"inbound\",\"reason\":\"relay-denied\"}\n".to_owned();
        let metrics = "# TYPE x counter\nbridgehead_refused_total{server=\"inbound\",reason=\"relay-denied\"} 1\n";
        let good = Count { metrics: metrics.to_owned(), log: log.clone() };
        assert!(disagreements(&good).is_empty());
        assert_eq!(disagreements(&Count { log: String::new(), ..good.clone() }).len(), 1);
        assert_eq!(disagreements(&Count { log: log.repeat(2), ..good.clone() }).len(), 1);
        let lost = format!("{metrics}bridgehead_log_lines_lost_total 1\n");
        assert!(disagreements(&Count { metrics: lost, log: String::new() }).is_empty());
    }

    #[test]
    fn who_is_inside_is_seen() {
        assert!(is_quiet("bridgehead_queue_messages 0\nbridgehead_inbound_connections_current{server=\"a\"} 0\n"));
        assert!(!is_quiet("bridgehead_inbound_connections_current{server=\"a\"} 2\n"));
        assert!(!is_quiet("bridgehead_queue_messages 1\n"));
    }
}
