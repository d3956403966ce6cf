//! Lines of the log, whatever strangers have put into an event: always one line, and valid JSON
//! where it is JSON.

use crate::input::{Input, has_control};
use gateway::fuzzing::{EVENTS, log_lines};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let kind = usize::from(input.octet()) % EVENTS;
    let number = u64::from(input.octet()) << 56 | u64::from(input.octet());
    let texts: [String; 3] = std::array::from_fn(|_| String::from_utf8_lossy(input.counted()).into_owned());
    let (text, json) = log_lines(kind, number, &texts);
    let text = String::from_utf8(text).unwrap();
    assert!(text.strip_suffix('\n').is_some_and(|line| !has_control(line)), "{text:?}");
    let json = String::from_utf8(json).unwrap();
    assert!(json.strip_suffix('\n').is_some_and(|line| line.bytes().all(|b| b >= b' ')), "{json:?}");
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(object.contains_key("time") && object.contains_key("event"));
    assert_eq!(json.matches("\"event\":").count(), 1, "nobody can write a field of ours");
}
