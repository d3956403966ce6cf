//! MAIL and RCPT, and what was decided about them.

use super::state::{About, State};
use super::{Answer, Note, Recipient, Sender, Session, Transaction, say};
use crate::envelope::Terms;
use crate::extensions::Offers;

impl Session {
    pub(super) fn mail(&mut self, text: &str) -> State {
        self.mail_refused = true;
        if self.hello.is_none() {
            return self.disorder(State::Ready, "Send EHLO first");
        }
        let sender = match Sender::parse(text, &self.terms()) {
            Ok(sender) => sender,
            Err(mistake) => return self.refuse(State::Ready, Note::SyntaxError, mistake.reply()),
        };
        let declared = sender.size.unwrap_or(0);
        if self.settings.message_size_bytes.is_some_and(|limit| declared > limit) {
            self.note(Note::TooBig { declared: true });
            return self.plainly(State::Ready, say::too_big());
        }
        if declared.max(1) > self.session_left() {
            self.note(Note::SessionSizeReached);
            return self.close(say::session_full());
        }
        State::asking(About::Sender(Transaction::new(sender)))
    }

    pub(super) fn sender_decided(&mut self, transaction: Transaction, answer: Answer) -> State {
        match answer {
            Answer::Proceed => {
                self.mail_refused = false;
                // Connection control was asked again, and has let it in.
                self.must_authenticate = false;
                self.say(say::sender_ok(&transaction.sender.reverse_path));
                State::Mail(transaction)
            }
            Answer::Refuse(reply) | Answer::Dismiss(reply) => self.plainly(State::Ready, reply),
            Answer::MustAuthenticate
            | Answer::Challenge(_)
            | Answer::Known(_)
            | Answer::Peer(..)
            | Answer::Taken(_) => self.plainly(State::Ready, say::local_error()),
        }
    }

    pub(super) fn rcpt(&mut self, transaction: Transaction, text: &str) -> State {
        match Recipient::parse(text, transaction.sender.smtputf8, &self.terms()) {
            Err(mistake) => self.refuse(State::Mail(transaction), Note::SyntaxError, mistake.reply()),
            Ok(_) if transaction.recipients.len() >= self.settings.recipients_per_message => {
                self.note(Note::TooManyRecipients);
                self.plainly(State::Mail(transaction), say::too_many_recipients())
            }
            Ok(recipient) => State::asking(About::Recipient(transaction, recipient)),
        }
    }

    pub(super) fn recipient_decided(
        &mut self,
        mut transaction: Transaction,
        recipient: Recipient,
        answer: Answer,
    ) -> State {
        let reply = match answer {
            Answer::Proceed => {
                let reply = say::recipient_ok(&recipient.forward_path);
                transaction.recipients.push(recipient);
                reply
            }
            Answer::Refuse(reply) | Answer::Dismiss(reply) => reply,
            Answer::MustAuthenticate
            | Answer::Challenge(_)
            | Answer::Known(_)
            | Answer::Peer(..)
            | Answer::Taken(_) => say::local_error(),
        };
        self.plainly(State::Mail(transaction), reply)
    }

    pub(super) fn message_decided(&mut self, answer: Answer) -> State {
        let reply = match answer {
            Answer::Taken(id) => say::taken(&id),
            Answer::Refuse(reply) | Answer::Dismiss(reply) => reply,
            // None of these says that the message is safe.
            Answer::Proceed | Answer::MustAuthenticate | Answer::Challenge(_) | Answer::Known(_) | Answer::Peer(..) => {
                say::local_error()
            }
        };
        self.plainly(State::Ready, reply)
    }

    /// RCPT or DATA where no sender is accepted. Behind a refused MAIL this is how pipelining looks,
    /// not a mistake (RFC 2920 §3.1).
    pub(super) fn no_mail(&mut self) -> State {
        if self.mail_refused {
            return self.plainly(State::Ready, say::out_of_order("MAIL was refused"));
        }
        self.disorder(State::Ready, "Send MAIL first")
    }

    /// The extensions in force: none after HELO.
    pub(super) fn offers(&self) -> Offers {
        match &self.hello {
            Some(hello) if hello.extended => self.settings.offers.sound(),
            _ => Offers::NONE,
        }
    }

    fn terms(&self) -> Terms<'_> {
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        Terms {
            offers: self.offers(),
            extended,
            auth: extended && self.settings.has_auth(),
            default_domain: &self.settings.default_domain,
        }
    }
}
