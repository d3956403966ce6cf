//! The queue and the delivery limits.

use super::Check;
use crate::file::{Delivery, DurationText};
use crate::mistake::Mistake;
use crate::{DeliveryLimits, Queue};
use queue::Retry;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

impl Check<'_> {
    pub(super) fn delivery(&mut self, delivery: &Delivery) -> Option<DeliveryLimits> {
        const PER_DOMAIN: &str = "delivery.connections_per_domain";
        let connect_limit = self.duration("delivery.connect_timeout", &delivery.connect_timeout, SECOND..=600 * SECOND);
        let rate = self.rate("delivery", delivery.min_octets_per_s, &delivery.min_rate_after);
        if delivery.connections_per_domain > delivery.connections && self.places.has(PER_DOMAIN) {
            let found = "one destination may have more connections than all together";
            let mistake = Mistake::warning(PER_DOMAIN, self.places.value_of(PER_DOMAIN), found)
                .expected(format!("there will never be more than {}", delivery.connections))
                .related(self.places.value_of("delivery.connections"), "this is for all together");
            self.mistakes.push(mistake);
        }
        Some(DeliveryLimits {
            connections: delivery.connections,
            connections_per_domain: delivery.connections_per_domain.min(delivery.connections),
            messages_per_connection: delivery.messages_per_connection,
            connect_limit: connect_limit?,
            rate: rate?,
        })
    }

    pub(super) fn queue(&mut self, queue: &crate::file::Queue, state_dir: Option<&Path>) -> Option<Queue> {
        let retry = self.retry(queue);
        let reserve = self.size("queue.reserve", &queue.reserve, 0..=1 << 50);
        let copy_of_reports = match &queue.send_copy_of_ndr_to {
            Some(text) => self.mailbox("queue.send_copy_of_ndr_to", text).map(Some),
            None => Some(None),
        };
        let bad_mail_directory = match &queue.bad_mail_directory {
            Some(text) => self.path("queue.bad_mail_directory", text),
            None => state_dir.map(|dir| dir.join("badmail")),
        };
        Some(Queue {
            retry: retry?,
            spool: queue::spool::Settings { reserve_bytes: reserve?, ..queue::spool::Settings::default() },
            copy_of_reports: copy_of_reports?,
            bad_mail_directory: bad_mail_directory?,
        })
    }

    fn retry(&mut self, queue: &crate::file::Queue) -> Option<Retry> {
        let mut wait = |key: &str, text: &DurationText| self.duration(key, text, SECOND..=30 * DAY);
        let first = wait("queue.retry.first", &queue.retry.first);
        let second = wait("queue.retry.second", &queue.retry.second);
        let third = wait("queue.retry.third", &queue.retry.third);
        let subsequent = wait("queue.retry.subsequent", &queue.retry.subsequent);
        let delay_notification = wait("queue.delay_notification", &queue.delay_notification);
        let expiration = wait("queue.expiration", &queue.expiration);
        let retry = Retry {
            first: first?,
            second: second?,
            third: third?,
            subsequent: subsequent?,
            delay_notification: delay_notification?,
            expiration: expiration?,
        };
        self.never("queue.retry.first", retry.first >= retry.expiration, "mail is never tried again");
        let early = retry.delay_notification >= retry.expiration;
        self.never("queue.delay_notification", early, "no sender is ever told of a delay");
        Some(retry)
    }

    /// Says that something does not happen before mail expires. The mistake is where the file says
    /// something; a default is not to blame.
    fn never(&mut self, key: &str, is_so: bool, what: &str) {
        const EXPIRATION: &str = "queue.expiration";
        if !is_so {
            return;
        }
        let mistake = match self.places.value_of(key) {
            Some(place) => Mistake::warning(key, Some(place), what)
                .expected("mail expires before this")
                .related(self.places.value_of(EXPIRATION), "this is when it expires"),
            None => Mistake::warning(EXPIRATION, self.places.value_of(EXPIRATION), what)
                .expected(format!("mail expires before {} has passed", crate::shape::last(key))),
        };
        self.mistakes.push(mistake);
    }
}
