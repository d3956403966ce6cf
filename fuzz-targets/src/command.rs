//! A command line, and the envelope in MAIL and RCPT: nothing that was decoded can end a line, and
//! what a parameter says is within its bounds.

use crate::input::has_control;
use smtp::command::{self, Command};
use smtp::envelope::{Recipient, Sender, Terms};
use smtp::line;
use smtp::server::Offers;

pub(crate) fn run(octets: &[u8]) {
    let Ok(text) = line::text(octets) else {
        assert!(std::str::from_utf8(octets).is_err() || octets.iter().any(u8::is_ascii_control));
        return;
    };
    let command = command::parse(text);
    assert_eq!(command::starts_auth(octets), octets.to_ascii_uppercase().starts_with(b"AUTH "));
    let default_domain = "corp.example".parse().unwrap();
    let terms = Terms { offers: Offers::default(), extended: true, auth: true, default_domain: &default_domain };
    match command {
        Ok(Command::Mail(rest)) => sender(rest, &terms),
        Ok(Command::Rcpt(rest)) => {
            recipient(rest, false, &terms);
            recipient(rest, true, &terms);
        }
        // Whoever counts octets must have been told so, or the octets would be read as commands.
        Ok(Command::Bdat(_)) => assert!(command::announces_chunk(octets)),
        Ok(Command::Auth(auth)) => {
            assert!((1..=20).contains(&auth.mechanism.len()));
            let shown = if auth.initial.is_some() { "…" } else { "none" };
            assert_eq!(format!("{auth:?}"), format!("Auth({}, {shown})", auth.mechanism), "a secret is not printed");
        }
        Ok(_) | Err(_) => {}
    }
    if let Err(mistake) = command {
        let reply = mistake.reply();
        assert!((500..600).contains(&reply.code()), "{reply}");
    }
}

fn sender(text: &str, terms: &Terms<'_>) {
    let Ok(sender) = Sender::parse(text, terms) else { return };
    for decoded in [sender.envid.as_deref(), sender.auth.as_deref()].into_iter().flatten() {
        assert!(
            !decoded.is_empty() && decoded.len() <= 500 && decoded.is_ascii() && !has_control(decoded),
            "{decoded}"
        );
    }
    assert!(sender.smtputf8 || sender.reverse_path.mailbox().is_none_or(mail::Mailbox::is_ascii));
    assert_ne!(sender.size, Some(0));
    let without = Terms { extended: false, auth: false, offers: Offers::NONE, ..*terms };
    if Sender::parse(text, &without).is_ok() {
        assert!(sender.size.is_none() && sender.envid.is_none() && sender.auth.is_none() && !sender.smtputf8);
    }
}

fn recipient(text: &str, smtputf8: bool, terms: &Terms<'_>) {
    let Ok(recipient) = Recipient::parse(text, smtputf8, terms) else { return };
    assert!(smtputf8 || recipient.forward_path.is_ascii());
    if let Some(original) = &recipient.original {
        assert!(!original.kind.is_empty() && !has_control(&original.kind));
        assert!(!has_control(&original.address) && (smtputf8 || original.address.is_ascii()));
    }
}
