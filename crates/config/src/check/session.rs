//! What the sessions of a virtual server offer and bear.

use super::Check;
use crate::file::{self, DurationText, Protocol, ServerLimits, TlsMode, VirtualServer};
use crate::mistake::Mistake;
use crate::places::below;
use crate::{Rate, units};
use mail::Domain;
use policy::Local;
use smtp::server::{BareNewline, Door, EarlyTalk, Offers, Settings};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

impl Check<'_> {
    pub(super) fn session(
        &mut self,
        key: &str,
        server: &VirtualServer,
        hostname: Option<&Domain>,
        default_domain: Option<&Local>,
        tls: TlsMode,
    ) -> Option<Settings> {
        let offers = self.offers(&below(key, "protocol"), &server.protocol, tls != TlsMode::Off);
        let base = hostname.cloned().map(Settings::new);
        let limited = self.session_limits(&below(key, "limits"), &server.limits, base);
        let limited = limited?;
        Some(Settings {
            default_domain: default_domain?.domain.clone(),
            offers: offers?,
            door: Door { code: server.protocol.client_not_authenticated_code, ..limited.door },
            tls_required: tls == TlsMode::Required,
            bare_newline: match server.protocol.bare_newline {
                file::BareNewline::Reject => BareNewline::Reject,
                file::BareNewline::Normalise => BareNewline::Normalise,
            },
            early_talk: match server.protocol.pipelining_violation {
                file::EarlyTalk::Count => EarlyTalk::Count,
                file::EarlyTalk::Close => EarlyTalk::Close,
            },
            ..limited
        })
    }

    /// `base` with the limits of the file.
    fn session_limits(&mut self, key: &str, table: &ServerLimits, base: Option<Settings>) -> Option<Settings> {
        let at = |name: &str| below(key, name);
        let message = self.size_limit(&at("message_size"), &table.message_size, KIB..=1 << 40);
        let session = self.size_limit(&at("session_size"), &table.session_size, KIB..=1 << 50);
        let command_line = self.size(&at("command_line"), &table.command_line, 512..=64 * KIB);
        let text_line = self.size(&at("text_line"), &table.text_line, 1000..=64 * MIB);
        let header = self.size(&at("header_size"), &table.header_size, KIB..=64 * MIB);
        let idle = self.duration(&at("idle_timeout"), &table.idle_timeout, SECOND..=DAY);
        let command = self.duration(&at("command_timeout"), &table.command_timeout, SECOND..=DAY);
        let line = self.duration(&at("command_time"), &table.command_time, SECOND..=DAY);
        let data = self.duration(&at("data_timeout"), &table.data_timeout, SECOND..=DAY);
        let door = self.duration(&at("door_time"), &table.door_time, SECOND..=DAY);
        self.small_limits(key, table, message, session);
        let fits = |octets: u64| usize::try_from(octets).ok();
        Some(Settings {
            message_size_bytes: message?,
            session_size_bytes: session?,
            recipients_per_message: usize::try_from(table.recipients_per_message).ok()?,
            command_line_octets: fits(command_line?)?,
            text_line_octets: fits(text_line?)?,
            header_size_bytes: fits(header?)?,
            errors_limit: table.errors,
            door: Door { commands: table.door_commands, time: door?, ..Door::default() },
            idle_limit: idle?,
            command_limit: command?,
            line_limit: line?,
            data_limit: data?,
            ..base?
        })
    }

    /// A least rate; `key` is its table.
    pub(super) fn rate(&mut self, key: &str, octets_per_s: u32, after: &DurationText) -> Option<Rate> {
        let after = self.duration(&below(key, "min_rate_after"), after, SECOND..=DAY)?;
        Some(Rate { octets_per_s, after })
    }

    /// Limits below what the standard or another limit wants.
    fn small_limits(
        &mut self,
        key: &str,
        table: &ServerLimits,
        message: Option<Option<u64>>,
        session: Option<Option<u64>>,
    ) {
        let [message_key, session_key, recipients_key] =
            ["message_size", "session_size", "recipients_per_message"].map(|name| below(key, name));
        // Unlimited is the largest.
        let octets = |size: Option<u64>| size.unwrap_or(u64::MAX);
        if let (Some(message), Some(session)) = (message, session)
            && octets(session) < octets(message)
        {
            let mistake = Mistake::error(
                &session_key,
                self.places.value_of(&session_key),
                "a session may be smaller than one message",
            )
            .expected(match message {
                Some(octets) => format!("expected at least message_size, which is {}", units::print_size(octets)),
                None => "expected \"unlimited\", as message_size is".to_owned(),
            })
            .related(self.places.value_of(&message_key), "this is message_size");
            self.mistakes.push(mistake);
        }
        if let Some(Some(message)) = message
            && message < 64 * KIB
        {
            let mistake =
                Mistake::warning(&message_key, self.places.value_of(&message_key), "a very small message size")
                    .expected("RFC 5321 wants at least 64 KiB");
            self.mistakes.push(mistake);
        }
        if table.recipients_per_message < 100 {
            let mistake =
                Mistake::warning(&recipients_key, self.places.value_of(&recipients_key), "few recipients per message")
                    .expected("RFC 5321 wants at least 100");
            self.mistakes.push(mistake);
        }
    }

    /// What is offered: an extension that needs another is offered only with it. Asking for it
    /// without is a mistake; a default gives way.
    fn offers(&mut self, key: &str, table: &Protocol, starttls: bool) -> Option<Offers> {
        let mut complete = true;
        for (name, on, needed, is_there) in [
            ("binarymime", table.binarymime, "chunking", table.chunking),
            ("smtputf8", table.smtputf8, "8bitmime", table.eight_bit),
        ] {
            let (own, other) = (below(key, name), below(key, needed));
            if on && !is_there && self.places.has(&own) {
                let found = format!("{} needs {}", name.to_uppercase(), needed.to_uppercase());
                let mistake = Mistake::error(&own, self.places.value_of(&own), found)
                    .related(self.places.value_of(&other), "it is switched off here");
                self.mistakes.push(mistake);
                complete = false;
            }
        }
        complete.then_some(Offers {
            pipelining: table.pipelining,
            eight_bit: table.eight_bit,
            chunking: table.chunking,
            binary: table.binarymime && table.chunking,
            dsn: table.dsn,
            smtputf8: table.smtputf8 && table.eight_bit,
            starttls,
            limits: table.limits,
        })
    }
}
