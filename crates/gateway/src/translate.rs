//! The queue and the protocol are siblings that do not see each other; their words for the same
//! things (RFC 3461 parameters) meet here.

use smtp::{client, server};

/// RET as the session heard it.
pub fn ret(ret: server::Ret) -> queue::Ret {
    match ret {
        server::Ret::Full => queue::Ret::Full,
        server::Ret::Headers => queue::Ret::Headers,
    }
}

/// NOTIFY as the session heard it.
pub fn notify(notify: server::Notify) -> queue::Notify {
    queue::Notify { success: notify.success, failure: notify.failure, delay: notify.delay }
}

/// ORCPT as the session heard it.
pub fn original(original: server::Original) -> queue::Original {
    queue::Original { kind: original.kind, address: original.address }
}

/// RET as the client says it.
pub fn client_ret(ret: queue::Ret) -> client::Ret {
    match ret {
        queue::Ret::Full => client::Ret::Full,
        queue::Ret::Headers => client::Ret::Headers,
    }
}

/// One recipient as the client says it.
pub fn client_recipient(recipient: &queue::Recipient) -> client::MailRecipient {
    client::MailRecipient {
        forward_path: recipient.forward_path.clone(),
        notify: recipient.notify.map(|n| client::Notify { success: n.success, failure: n.failure, delay: n.delay }),
        original: recipient
            .original
            .as_ref()
            .map(|o| client::Original { kind: o.kind.clone(), address: o.address.clone() }),
    }
}

/// What the content needs, as the client asks it.
pub fn client_content(content: &queue::Content) -> client::ContentFacts {
    client::ContentFacts {
        eight_bit: content.eight_bit,
        binary: content.binary,
        dots: content.dots,
        long_lines: content.long_lines,
        utf8_headers: content.utf8_headers,
    }
}
