//! Search filters (RFC 4515) as the settings write them, with a place for a value.
//!
//! A filter is taken apart once, when the settings are read. What a client said is never put into
//! its text: it is an octet string inside the request from the beginning, so no `*`, no `)(` and no
//! NUL in it can be anything but itself, and there is nothing to escape and nothing to forget.

use super::ber::{OCTETS, SEQUENCE, element};
/// How deep a filter may nest.
const DEPTH: usize = 16;
/// How long its text may be.
const TEXT_OCTETS: usize = 4096;

/// A filter, maybe with places for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// One of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// An attribute compared with a value.
    Compare(Comparison, Box<str>, Value),
    /// An attribute that begins, goes on and ends with these.
    Substrings(Box<str>, Vec<(Part, Value)>),
    /// An attribute that is there.
    Present(Box<str>),
    /// A matching rule by its number, of an attribute, and of the DN too.
    Rule {
        /// The rule.
        rule: Option<Box<str>>,
        /// The attribute.
        attribute: Option<Box<str>>,
        /// Whether attributes of the DN count.
        dn: bool,
        /// The value.
        value: Value,
    },
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `~=`
    About,
}

/// Which part of an attribute a substring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its beginning.
    Initial,
    /// Anything in between.
    Any,
    /// Its end.
    Final,
}

/// A value of a filter: octets, and places where another value goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Value(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Octets(Vec<u8>),
    Place,
}

impl Value {
    /// A value that has no places.
    #[must_use]
    pub(crate) fn fixed(octets: &[u8]) -> Value {
        Value(vec![Piece::Octets(octets.to_vec())])
    }

    fn push(&mut self, octet: u8) {
        if let Some(Piece::Octets(octets)) = self.0.last_mut() {
            octets.push(octet);
        } else {
            self.0.push(Piece::Octets(vec![octet]));
        }
    }

    fn filled(&self, with: &[u8]) -> Vec<u8> {
        self.0.iter().fold(Vec::new(), |mut whole, piece| {
            match piece {
                Piece::Octets(octets) => whole.extend_from_slice(octets),
                Piece::Place => whole.extend_from_slice(with),
            }
            whole
        })
    }
}

impl Filter {
    /// Reads a filter in which `%` and the letter `place` stand for a value, `%%` for a percent sign.
    ///
    /// # Errors
    /// Says what is wrong with it, for the settings.
    pub(crate) fn parse(text: &str, place: u8) -> Result<Filter, &'static str> {
        if text.len() > TEXT_OCTETS {
            return Err("a filter has no more than 4096 octets");
        }
        let mut parser = Parser { rest: text.as_bytes(), place };
        let filter = parser.filter(DEPTH)?;
        if parser.rest.is_empty() { Ok(filter) } else { Err("something follows the filter") }
    }

    /// An attribute that equals a value.
    #[must_use]
    pub(crate) fn equal(attribute: &str, value: &[u8]) -> Filter {
        Filter::Compare(Comparison::Equal, attribute.into(), Value::fixed(value))
    }

    /// Whether there is a place for a value: a filter without one finds the same for everybody.
    #[must_use]
    pub(crate) fn has_place(&self) -> bool {
        let of = |value: &Value| value.0.contains(&Piece::Place);
        match self {
            Filter::And(filters) | Filter::Or(filters) => filters.iter().any(Filter::has_place),
            Filter::Not(filter) => filter.has_place(),
            Filter::Compare(_, _, value) | Filter::Rule { value, .. } => of(value),
            Filter::Substrings(_, parts) => parts.iter().any(|(_, value)| of(value)),
            Filter::Present(_) => false,
        }
    }

    /// The filter as it goes into a request (RFC 4511 §4.5.1.7), with `value` in its places.
    #[must_use]
    pub(crate) fn encode(&self, value: &[u8]) -> Vec<u8> {
        let all = |filters: &[Filter]| -> Vec<u8> { filters.iter().flat_map(|filter| filter.encode(value)).collect() };
        match self {
            Filter::And(filters) => element(0xa0, &[&all(filters)]),
            Filter::Or(filters) => element(0xa1, &[&all(filters)]),
            Filter::Not(filter) => element(0xa2, &[&filter.encode(value)]),
            Filter::Compare(comparison, attribute, compared) => {
                let tag = match comparison {
                    Comparison::Equal => 0xa3,
                    Comparison::AtLeast => 0xa5,
                    Comparison::AtMost => 0xa6,
                    Comparison::About => 0xa8,
                };
                let compared = element(OCTETS, &[&compared.filled(value)]);
                element(tag, &[&element(OCTETS, &[attribute.as_bytes()]), &compared])
            }
            Filter::Substrings(attribute, parts) => {
                let parts: Vec<u8> = parts.iter().flat_map(|(part, text)| part.encode(&text.filled(value))).collect();
                element(0xa4, &[&element(OCTETS, &[attribute.as_bytes()]), &element(SEQUENCE, &[&parts])])
            }
            Filter::Present(attribute) => element(0x87, &[attribute.as_bytes()]),
            Filter::Rule { rule, attribute, dn, value: compared } => {
                let named = |tag, name: &Option<Box<str>>| {
                    name.as_deref().map_or(Vec::new(), |name| element(tag, &[name.as_bytes()]))
                };
                let dn = if *dn { element(0x84, &[&[0xff]]) } else { Vec::new() };
                let compared = element(0x83, &[&compared.filled(value)]);
                element(0xa9, &[&named(0x81, rule), &named(0x82, attribute), &compared, &dn])
            }
        }
    }
}

impl Part {
    fn encode(self, text: &[u8]) -> Vec<u8> {
        let tag = match self {
            Part::Initial => 0x80,
            Part::Any => 0x81,
            Part::Final => 0x82,
        };
        element(tag, &[text])
    }
}

/// The rest of a filter's text.
struct Parser<'a> {
    rest: &'a [u8],
    place: u8,
}

impl Parser<'_> {
    fn accept(&mut self, octet: u8) -> bool {
        let accepted = self.rest.first() == Some(&octet);
        self.rest = &self.rest[usize::from(accepted)..];
        accepted
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, &'static str> {
        let depth = depth.checked_sub(1).ok_or("a filter nests no deeper than 16")?;
        if !self.accept(b'(') {
            return Err("a filter begins with a parenthesis");
        }
        let filter = if self.accept(b'&') {
            Filter::And(self.filters(depth)?)
        } else if self.accept(b'|') {
            Filter::Or(self.filters(depth)?)
        } else if self.accept(b'!') {
            Filter::Not(Box::new(self.filter(depth)?))
        } else {
            self.item()?
        };
        if self.accept(b')') { Ok(filter) } else { Err("a parenthesis is not closed") }
    }

    fn filters(&mut self, depth: usize) -> Result<Vec<Filter>, &'static str> {
        let mut filters = vec![self.filter(depth)?];
        while self.rest.first() == Some(&b'(') {
            filters.push(self.filter(depth)?);
        }
        Ok(filters)
    }

    fn item(&mut self) -> Result<Filter, &'static str> {
        let attribute = self.name()?;
        if self.accept(b':') {
            return self.rule(attribute);
        }
        let attribute = attribute.ok_or("a comparison names an attribute")?;
        let comparison = match self.rest.first() {
            Some(b'>') => Comparison::AtLeast,
            Some(b'<') => Comparison::AtMost,
            Some(b'~') => Comparison::About,
            _ => Comparison::Equal,
        };
        self.rest = &self.rest[usize::from(comparison != Comparison::Equal)..];
        if !self.accept(b'=') {
            return Err("an attribute is followed by =, >=, <=, ~= or :=");
        }
        let mut values = vec![self.value()?];
        while comparison == Comparison::Equal && self.accept(b'*') {
            values.push(self.value()?);
        }
        pattern(comparison, attribute, values)
    }

    /// `attr[:dn][:rule]:=value`, after the first colon.
    fn rule(&mut self, attribute: Option<Box<str>>) -> Result<Filter, &'static str> {
        let (mut rule, mut dn) = (None, false);
        while !self.accept(b'=') {
            match self.name()?.ok_or("a matching rule has a name")? {
                name if !dn && rule.is_none() && name.eq_ignore_ascii_case("dn") => dn = true,
                name if rule.is_none() => rule = Some(name),
                _ => return Err("one comparison names one matching rule"),
            }
            if !self.accept(b':') {
                return Err("a matching rule is followed by :=");
            }
        }
        if rule.is_none() && attribute.is_none() {
            return Err("a comparison names an attribute or a matching rule");
        }
        Ok(Filter::Rule { rule, attribute, dn, value: self.value()? })
    }

    /// An attribute description or the number of a rule (RFC 4512 §2.5); `None` if there is none.
    fn name(&mut self) -> Result<Option<Box<str>>, &'static str> {
        let is_part = |octet: &u8| octet.is_ascii_alphanumeric() || b"-.;_".contains(octet);
        let end = self.rest.iter().position(|octet| !is_part(octet)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let name = str::from_utf8(name).map_err(|_| "a name is ASCII")?;
        Ok((!name.is_empty()).then(|| name.into()))
    }

    /// A value up to the `*` or `)` that ends it.
    fn value(&mut self) -> Result<Value, &'static str> {
        let mut value = Value::default();
        while let Some((&octet, rest)) = self.rest.split_first() {
            match octet {
                b'*' | b')' => break,
                b'(' | 0 => return Err("( and NUL are written \\28 and \\00 in a value"),
                b'\\' => {
                    let digits = rest.get(..2).and_then(|digits| str::from_utf8(digits).ok());
                    let octet = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                    let octet = octet.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    value.push(octet.ok_or("\\ is followed by two hexadecimal digits")?);
                    self.rest = &rest[2..];
                    continue;
                }
                b'%' => {
                    match rest.first() {
                        Some(b'%') => value.push(b'%'),
                        Some(letter) if *letter == self.place => value.0.push(Piece::Place),
                        _ => return Err("an unknown letter follows %"),
                    }
                    self.rest = &rest[1..];
                    continue;
                }
                other => value.push(other),
            }
            self.rest = rest;
        }
        Ok(value)
    }
}

/// The item with these values, which stars separate.
fn pattern(comparison: Comparison, attribute: Box<str>, mut values: Vec<Value>) -> Result<Filter, &'static str> {
    if values.len() == 1 {
        return Ok(Filter::Compare(comparison, attribute, values.remove(0)));
    }
    let last = values.len() - 1;
    let blank: Vec<bool> = values.iter().map(|value| value.0.is_empty()).collect();
    if blank.iter().all(|blank| *blank) {
        return if last == 1 { Ok(Filter::Present(attribute)) } else { Err("two stars follow one another") };
    }
    if blank[1..last].contains(&true) {
        return Err("two stars follow one another");
    }
    let part = |place| match place {
        0 => Part::Initial,
        place if place == last => Part::Final,
        _ => Part::Any,
    };
    let parts = values.into_iter().enumerate().filter(|(_, value)| !value.0.is_empty());
    Ok(Filter::Substrings(attribute, parts.map(|(place, value)| (part(place), value)).collect()))
}

#[cfg(test)]
mod tests;
