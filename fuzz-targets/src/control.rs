//! A command on the control socket: one line of JSON that is read back as it is written.

use gateway::{QueueAnswer, QueueCommand};

pub(crate) fn run(octets: &[u8]) {
    if let Ok(command) = serde_json::from_slice::<QueueCommand>(octets) {
        let line = serde_json::to_vec(&command).unwrap();
        assert!(!line.contains(&b'\n'), "one line");
        assert_eq!(serde_json::from_slice::<QueueCommand>(&line).unwrap(), command);
    }
    if let Ok(answer) = serde_json::from_slice::<QueueAnswer>(octets) {
        let line = serde_json::to_vec(&answer).unwrap();
        assert!(!line.contains(&b'\n'), "one line");
        assert_eq!(serde_json::from_slice::<QueueAnswer>(&line).unwrap(), answer);
    }
}
