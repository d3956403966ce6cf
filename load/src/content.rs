//! The octets of a transaction, made once and sent again and again.

/// The commands and the content of one message.
pub(crate) struct Transaction {
    /// MAIL, one RCPT for each recipient, and DATA.
    pub(crate) envelope: Vec<u8>,
    /// The content with the dot that ends it.
    pub(crate) content: Vec<u8>,
    pub(crate) recipients: usize,
}

const HEADER: &str = "From: <x@ext.example>\r\nTo: <bob@corp2.example>\r\n\
    Date: Sun, 22 Nov 2026 00:00:00 +0000\r\nMessage-Id: <load@ext.example>\r\nSubject: load\r\n\r\n";

/// As long as a line of a letter is, with its CR LF.
const LINE: &str = "The quick brown fox jumps over the lazy dog, and the dog does not mind..\r\n";

impl Transaction {
    /// A message of `octets` (at least a header and a line) to `recipients` addresses of one domain.
    pub(crate) fn new(octets: usize, recipients: usize) -> Self {
        let mut envelope = b"MAIL FROM:<x@ext.example>\r\n".to_vec();
        for number in 0..recipients {
            envelope.extend(format!("RCPT TO:<bob{number}@corp2.example>\r\n").into_bytes());
        }
        envelope.extend(b"DATA\r\n");
        let mut content = HEADER.as_bytes().to_vec();
        let octets = octets.max(content.len() + LINE.len());
        while content.len() < octets {
            content.extend(LINE.as_bytes());
        }
        content.truncate(octets - 2);
        // A cut between the CR and the LF of a line must not leave half a line end.
        if content.last() == Some(&b'\r') {
            content.pop();
            content.push(b'.');
        }
        content.extend(b"\r\n");
        content.extend(b".\r\n");
        Self { envelope, content, recipients }
    }

    /// The commands one by one, for servers that do not pipeline.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &[u8]> {
        self.envelope.split_inclusive(|&octet| octet == b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for_and_whole_lines() {
        for octets in (300..500).chain([1024, 4096, 102_400]) {
            let content = Transaction::new(octets, 1).content;
            assert_eq!(content.len(), octets + 3, "the dot and its line end are not content");
            assert!(content.ends_with(b"\r\n.\r\n"));
            let text = String::from_utf8(content).unwrap().replace("\r\n", "");
            assert!(!text.contains(['\r', '\n']), "{octets}: a bare line end");
        }
    }

    #[test]
    fn every_recipient_has_a_command() {
        let transaction = Transaction::new(1024, 3);
        assert_eq!(transaction.commands().count(), 5);
        assert_eq!(transaction.commands().nth(3).unwrap(), b"RCPT TO:<bob2@corp2.example>\r\n");
    }
}
