//! Sets of addresses as a person says them: networks, and what is not meant of one.
//!
//! `10.0.0.0/8 except 10.0.5.5` is the same set as twenty-four prefixes, and the only form of it that somebody
//! recognises. The shortest form is found on the tree of prefixes, from below.

use super::{AddressSet, Family, Span, size};
use crate::network::Net;
use std::fmt;

/// Networks that are said one by one; behind them stands how many more there are.
const SAID: usize = 6;

/// A network, and what of it is not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    net: Net,
    except: Vec<Net>,
}

impl Part {
    /// How much there is to read. An exception must save more than it costs: nobody wrote the network that it is of.
    fn cost(&self) -> usize {
        1 + self.except.len() + usize::from(!self.except.is_empty())
    }
}

/// A set in words, of whatever length.
pub(super) struct Words {
    parts: Vec<Part>,
    /// Everything but these, where that is shorter.
    inverted: bool,
}

impl Words {
    pub(super) fn of(set: &AddressSet) -> Words {
        let parts: Vec<Part> = Family::ALL.into_iter().flat_map(|family| described(set, family)).collect();
        let outside = set.complement().prefixes();
        // Everything but a whole family is how nobody would say it.
        let in_both = Family::ALL.into_iter().all(|family| set.0.iter().any(|span| span.family == family));
        let inverted = in_both && outside.len() < parts.iter().map(Part::cost).sum();
        let part = |net| Part { net, except: vec![] };
        Words { parts: if inverted { outside.into_iter().map(part).collect() } else { parts }, inverted }
    }

    /// With no more than a few networks one by one.
    pub(super) fn short(&self) -> String {
        self.said(SAID)
    }

    fn said(&self, most: usize) -> String {
        let alone = self.parts.len() == 1;
        let part = |part: &Part| match (part.except.is_empty(), alone) {
            (true, _) => part.net.to_string(),
            (false, true) => format!("{} except {}", part.net, listed(&part.except, most)),
            (false, false) => format!("{} (except {})", part.net, listed(&part.except, most)),
        };
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        let anywhere = if self.inverted { "anywhere except " } else { "" };
        format!("{anywhere}{}", listed(&parts, most))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(usize::MAX))
    }
}

fn listed(items: &[impl ToString], most: usize) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    said(&items, "and", most)
}

/// A list as a person says it: with a word before the last; of a long one the first few, and how many more. One more
/// than `most` is said, too, for `and 1 more` is no shorter.
#[must_use]
pub fn said(items: &[String], last: &str, most: usize) -> String {
    if items.len() > most.saturating_add(1) {
        return format!("{} and {} more", items[..most].join(", "), items.len() - most);
    }
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// The shortest form of what a set has of one family.
fn described(set: &AddressSet, family: Family) -> Vec<Part> {
    let spans: Vec<Span> = set.0.iter().filter(|span| span.family == family).copied().collect();
    Node { family, first: 0, free: family.bits() }.describe(&spans).inside
}

/// A prefix, as a node of the tree of all of them.
#[derive(Clone, Copy)]
struct Node {
    family: Family,
    first: u128,
    free: u32,
}

/// The set within a node: said by what is in it, and the prefixes that are not.
struct Described {
    inside: Vec<Part>,
    outside: Vec<Net>,
}

impl Node {
    fn net(self) -> Net {
        let length = u8::try_from(self.family.bits() - self.free).unwrap_or(u8::MAX);
        Net::around(self.family.address(self.first), length, length)
    }

    fn halves(self) -> [Node; 2] {
        let free = self.free - 1;
        [Node { free, ..self }, Node { free, first: self.first + (1 << free), ..self }]
    }

    /// `spans` are those that reach into the node.
    fn describe(self, spans: &[Span]) -> Described {
        let last = self.first + size(self.free);
        let within: Vec<Span> =
            spans.iter().filter(|span| span.first <= last && self.first <= span.last).copied().collect();
        if within.is_empty() {
            return Described { inside: vec![], outside: vec![self.net()] };
        }
        if within.iter().any(|span| span.first <= self.first && last <= span.last) {
            return Described { inside: vec![Part { net: self.net(), except: vec![] }], outside: vec![] };
        }
        let [mut low, high] = self.halves().map(|half| half.describe(&within));
        low.inside.extend(high.inside);
        low.outside.extend(high.outside);
        let whole = Part { net: self.net(), except: low.outside.clone() };
        if whole.cost() < low.inside.iter().map(Part::cost).sum() {
            low.inside = vec![whole];
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    /// What the words mean.
    fn meant(words: &Words) -> AddressSet {
        let parts = words
            .parts
            .iter()
            .map(|part| AddressSet::of([&part.net]).intersection(&AddressSet::of(&part.except).complement()));
        let all = parts.fold(AddressSet::default(), |all, part| all.union(&part));
        if words.inverted { all.complement() } else { all }
    }

    /// Networks near each other, so that some have holes in them.
    fn near() -> impl Strategy<Value = Net> {
        (0_u32..1024, 22..=32_u8)
            .prop_map(|(low, length)| Net::around(IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 | low)), length, length))
    }

    proptest! {
        #[test]
        fn words_mean_the_set(nets in prop::collection::vec(near(), 1..6), not in prop::collection::vec(near(), 0..4)) {
            let set = AddressSet::of(&nets).intersection(&AddressSet::of(&not).complement());
            for set in [set.complement(), set] {
                prop_assert_eq!(&meant(&Words::of(&set)), &set);
            }
        }
    }
}
