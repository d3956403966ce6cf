//! Diagnoses, each kept once. A destination that is down says the same of every message; one that
//! says something else each time must not fill the memory with it.

use crate::envelope::Diagnosis;
use mail::{Class, EnhancedStatus};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Different diagnoses that are kept at the most: with all their octets two mebibytes.
const MOST: usize = 4096;
/// Octets of a text that are kept; the spool and the log have all of it.
const TEXT_OCTETS: usize = 512;

/// Diagnoses that briefs speak of.
#[derive(Debug)]
pub struct Diagnoses {
    known: BTreeSet<Arc<Diagnosis>>,
    /// Said of a recipient when there is no room for what was said.
    unsaid: Arc<Diagnosis>,
}

impl Default for Diagnoses {
    fn default() -> Diagnoses {
        let text = "too many different replies to remember; the log has them";
        let status = EnhancedStatus::new(Class::Transient, 0, 0);
        Diagnoses { known: BTreeSet::new(), unsaid: Arc::new(Diagnosis { status, text: text.into(), host: None }) }
    }
}

impl Diagnoses {
    /// The one that says the same; long texts are cut.
    pub fn keep(&mut self, diagnosis: &Diagnosis) -> Arc<Diagnosis> {
        if let Some(known) = self.known.get(diagnosis) {
            return known.clone();
        }
        let short = cut(&diagnosis.text);
        let diagnosis = Arc::new(Diagnosis { text: short.into(), ..diagnosis.clone() });
        if let Some(known) = self.known.get(&diagnosis) {
            return known.clone();
        }
        if self.known.len() >= MOST {
            self.known.retain(|known| Arc::strong_count(known) > 1);
        }
        if self.known.len() >= MOST {
            return self.unsaid.clone();
        }
        self.known.insert(diagnosis.clone());
        diagnosis
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_OCTETS)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Diagnosis {
        Diagnosis { status: EnhancedStatus::new(Class::Transient, 2, 0), text: text.into(), host: None }
    }

    #[test]
    fn the_same_is_kept_once_and_long_texts_are_cut() {
        let mut diagnoses = Diagnoses::default();
        let first = diagnoses.keep(&said("450 later"));
        assert!(Arc::ptr_eq(&first, &diagnoses.keep(&said("450 later"))));
        let long = format!("{}ö{}", "x".repeat(TEXT_OCTETS - 1), "y".repeat(9));
        let cut = diagnoses.keep(&said(&long));
        assert_eq!(*cut.text, *"x".repeat(TEXT_OCTETS - 1));
        assert!(Arc::ptr_eq(&cut, &diagnoses.keep(&said(&long))));
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let mut diagnoses = Diagnoses::default();
        let kept: Vec<_> = (0..MOST + 5).map(|n| diagnoses.keep(&said(&format!("450 number {n}")))).collect();
        assert_eq!(diagnoses.known.len(), MOST);
        assert_eq!(*kept[MOST - 1].text, *format!("450 number {}", MOST - 1));
        assert!(Arc::ptr_eq(&kept[MOST], &kept[MOST + 4]), "those without room say the same");
        drop(kept);
        assert_eq!(*diagnoses.keep(&said("450 new")).text, *"450 new", "what nobody speaks of makes room");
        assert_eq!(diagnoses.known.len(), 1);
    }
}
