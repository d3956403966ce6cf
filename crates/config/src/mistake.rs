//! A mistake in the settings file: where it is, what stands there, what was expected.
//!
//! Mistakes are collected and shown together, each under its line of the file. A warning is a
//! mistake that does not keep the server from starting.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Whether the settings can be used in spite of the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// They cannot.
    Error,
    /// They can; somebody should look at this.
    Warning,
}

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In octets from the beginning.
    pub span: Range<usize>,
    /// The line it begins on, from 1.
    pub line: u32,
    /// The character of the line it begins with, from 1.
    pub column: u32,
}

impl Place {
    /// The place of a span of `text`. A span outside the text is moved to its end, and one that
    /// would cut a character is widened.
    #[must_use]
    pub fn new(text: &str, span: Range<usize>) -> Place {
        Lines::new(text).place(span)
    }
}

/// A text and where each of its lines begins, so that a thousand mistakes do not count the lines a
/// thousand times.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Lines<'a> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// As [`Place::new`].
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let start = floor(self.text, span.start);
        let mut end = span.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let line = self.line(start);
        let line_start = self.starts[line - 1];
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { span: start..end, line: number(line), column: number(self.text[line_start..start].chars().count() + 1) }
    }

    /// The line of an octet, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Whether the settings can be used in spite of it.
    pub severity: Severity,
    /// The key it is about, as a path: `virtual_server.inbound.limits.message_size`. Empty for a
    /// mistake of the whole file.
    pub key: Box<str>,
    /// Where it is; `None` when something is missing and has no place.
    pub place: Option<Place>,
    /// What is wrong, in one line.
    pub found: Box<str>,
    /// What would be right, in one line; may be empty when `found` says it.
    pub expected: Box<str>,
    /// What was probably meant, as it should be written.
    pub nearest: Option<Box<str>>,
    /// Other places that the mistake is about, each with what it has to do with it.
    pub related: Vec<(Place, Box<str>)>,
    /// Why it matters and what to do, when that is more than `expected` can say.
    pub advice: Option<Box<str>>,
}

impl Mistake {
    pub(crate) fn new(severity: Severity, key: &str, place: Option<Place>, found: impl Into<Box<str>>) -> Mistake {
        Mistake {
            severity,
            key: key.into(),
            place,
            found: found.into(),
            expected: "".into(),
            nearest: None,
            related: Vec::new(),
            advice: None,
        }
    }

    pub(crate) fn error(key: &str, place: Option<Place>, found: impl Into<Box<str>>) -> Mistake {
        Mistake::new(Severity::Error, key, place, found)
    }

    pub(crate) fn warning(key: &str, place: Option<Place>, found: impl Into<Box<str>>) -> Mistake {
        Mistake::new(Severity::Warning, key, place, found)
    }

    pub(crate) fn expected(mut self, expected: impl Into<Box<str>>) -> Mistake {
        self.expected = expected.into();
        self
    }

    pub(crate) fn nearest(mut self, nearest: Option<impl Into<Box<str>>>) -> Mistake {
        self.nearest = nearest.map(Into::into);
        self
    }

    pub(crate) fn related(mut self, place: Option<Place>, label: impl Into<Box<str>>) -> Mistake {
        self.related.extend(place.map(|place| (place, label.into())));
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<Box<str>>) -> Mistake {
        self.advice = Some(advice.into());
        self
    }

    /// The mistake under its source line. `name` is what the file is called and `text` what it
    /// contains; with `colour`, terminal colours are added.
    #[must_use]
    pub fn render(&self, name: &str, text: &str, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let found = printable(&self.found);
        let title = level.primary_title(found);
        let mut group = match self.snippet(name, text) {
            Some(snippet) => title.element(snippet),
            None => title.element(Origin::path(name)),
        };
        if !self.key.is_empty() {
            group = group.element(Level::NOTE.message(format!("the key is {}", printable(&self.key))));
        }
        if let Some(nearest) = &self.nearest {
            group = group.element(Level::HELP.message(format!("did you mean {}?", printable(nearest))));
        }
        if let Some(advice) = &self.advice {
            group = group.element(Level::HELP.message(printable(advice)));
        }
        let report: &[Group<'_>] = &[group];
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(report)
    }

    /// The source lines of the mistake, if it has a place.
    fn snippet<'a>(&'a self, name: &'a str, text: &'a str) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let place = self.place.as_ref()?;
        let mut primary = AnnotationKind::Primary.span(visible(text, &place.span));
        if !self.expected.is_empty() {
            primary = primary.label(printable(&self.expected));
        }
        let mut snippet = Snippet::source(without_c1(text)).path(name).annotation(primary);
        for (place, label) in &self.related {
            let context = AnnotationKind::Context.span(visible(text, &place.span)).label(printable(label));
            snippet = snippet.annotation(context);
        }
        Some(snippet)
    }
}

/// At most the first line of a span, so that a long array does not fill the screen; and never past
/// the text.
fn visible(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line = text[start..end].find(['\n', '\r']).map_or(end, |at| start + at);
    start..line
}

/// The text with a mark for each control character of the second kind (U+0080 to U+009F): some
/// terminals obey them, and the renderer leaves them. The mark has as many octets, so places stay.
fn without_c1(text: &str) -> Cow<'_, str> {
    let is_c1 = |c| matches!(c, '\u{80}'..='\u{9f}');
    if text.contains(is_c1) { Cow::Owned(text.replace(is_c1, "\u{bf}")) } else { Cow::Borrowed(text) }
}

/// Text of the file as it may be shown: control characters escaped.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// All mistakes of a file that cannot be used, warnings among them, with the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Mistakes {
    name: Box<str>,
    text: Box<str>,
    list: Vec<Mistake>,
}

impl Mistakes {
    pub(crate) fn new(name: &str, text: &str, list: Vec<Mistake>) -> Mistakes {
        debug_assert!(list.iter().any(|m| m.severity == Severity::Error), "only an error keeps a file from being used");
        Mistakes { name: name.into(), text: text.into(), list }
    }

    /// The mistakes, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    /// All of them under their source lines, and how many there are.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let errors = self.list.iter().filter(|m| m.severity == Severity::Error).count();
        let mut out = render(&self.name, &self.text, &self.list, colour);
        let plural = if errors == 1 { "" } else { "s" };
        out.push_str(&format!("{}: {errors} error{plural}; the settings were not taken\n", self.name));
        out
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mistakes {}

/// Mistakes that are shown; nobody reads more, and each costs a pass over the file.
const SHOWN: usize = 100;

/// A list of mistakes (or of warnings) under their source lines, with a blank line behind each. Of a
/// very long list only the beginning.
#[must_use]
pub fn render(name: &str, text: &str, list: &[Mistake], colour: bool) -> String {
    let mut out = shown(name, text, &list[..list.len().min(SHOWN)], colour);
    if list.len() > SHOWN {
        out.push_str(&format!("{name}: and {} more\n\n", list.len() - SHOWN));
    }
    out
}

fn shown(name: &str, text: &str, list: &[Mistake], colour: bool) -> String {
    list.iter().fold(String::new(), |mut out, mistake| {
        out.push_str(&mistake.render(name, text, colour));
        out.push_str("\n\n");
        out
    })
}
