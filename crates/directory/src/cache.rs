//! Answers that are believed for a while: bounded in number and in time. Never passwords.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Answers by their question. When there is no more room the oldest goes.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    answers: BTreeMap<Box<str>, Kept<T>>,
    /// The questions in the order in which they were answered; one may stand here more than once.
    order: VecDeque<(u64, Instant, Box<str>)>,
    serial: u64,
    room: usize,
}

#[derive(Debug)]
struct Kept<T> {
    serial: u64,
    end: Instant,
    answer: T,
}

impl<T: Clone> Cache<T> {
    /// Keeps no more than `room` answers.
    pub(crate) fn new(room: usize) -> Cache<T> {
        Cache { answers: BTreeMap::new(), order: VecDeque::new(), serial: 0, room }
    }

    /// The answer, if it is still believed.
    pub(crate) fn get(&self, question: &str, now: Instant) -> Option<T> {
        self.answers.get(question).filter(|kept| now < kept.end).map(|kept| kept.answer.clone())
    }

    /// Keeps an answer for `span`.
    pub(crate) fn put(&mut self, question: &str, answer: T, span: Duration, now: Instant) {
        if span.is_zero() || self.room == 0 {
            return;
        }
        let end = now + span;
        self.serial += 1;
        self.answers.insert(question.into(), Kept { serial: self.serial, end, answer });
        self.order.push_back((self.serial, end, question.into()));
        while self.order.front().is_some_and(|(_, end, _)| *end <= now) || self.order.len() > self.room {
            let Some((serial, _, question)) = self.order.pop_front() else { return };
            // A newer answer to the same question stays.
            if self.answers.get(&question).is_some_and(|kept| kept.serial == serial) {
                self.answers.remove(&question);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use std::time::Duration;
    use tokio::time::{Instant, advance};

    const SPAN: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn answers_end() {
        let mut cache = Cache::new(10);
        cache.put("a", 1, SPAN, Instant::now());
        advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get("a", Instant::now()), Some(1));
        cache.put("a", 2, SPAN, Instant::now());
        advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get("a", Instant::now()), Some(2));
        cache.put("b", 3, SPAN, Instant::now());
        assert_eq!(cache.get("a", Instant::now()), Some(2));
        advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get("a", Instant::now()), None);
        cache.put("c", 3, Duration::ZERO, Instant::now());
        assert_eq!(cache.get("c", Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound() {
        let mut cache = Cache::new(100);
        for number in 0..1000 {
            cache.put(&number.to_string(), number, SPAN, Instant::now());
            cache.put("again", number, SPAN, Instant::now());
        }
        assert!(cache.answers.len() <= 100 && cache.order.len() <= 100);
        assert_eq!(cache.get("999", Instant::now()), Some(999));
        assert_eq!(cache.get("again", Instant::now()), Some(999));
        assert_eq!(cache.get("0", Instant::now()), None);
        advance(SPAN).await;
        cache.put("new", 0, SPAN, Instant::now());
        assert_eq!((cache.answers.len(), cache.order.len()), (1, 1));
    }
}
