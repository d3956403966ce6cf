//! Does the file have the right shape: only keys that exist, each with a value of its type?
//!
//! The parsed file is walked beside the schema that is derived from `file`, so that every unknown
//! key and every wrong type is found, and not only the first. What has the wrong shape is taken out
//! of the table; what is left can be read without an error and judged further.

use crate::file::{File, InvariantFile};
use crate::mistake::{Lines, Mistake};
use crate::places::{below, entry};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The schema of the settings file: no references, nothing that a TOML file cannot say.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<File>);
    &SCHEMA
}

/// The schema of the file of invariants.
pub(crate) fn invariant_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<InvariantFile>);
    &SCHEMA
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// TOML has no null: an optional key is one that may be left out. And the default of a table is
/// told by its keys.
fn tidy(schema: &mut Value) {
    if let Value::Object(object) = schema {
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|t| t != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if matches!(object.get("default"), Some(Value::Null | Value::Object(_))) {
            object.shift_remove("default");
        }
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        object.values_mut().for_each(tidy);
    } else if let Value::Array(list) = schema {
        list.iter_mut().for_each(tidy);
    }
}

/// What the walk found.
pub(crate) struct Shape {
    /// All mistakes of shape.
    pub(crate) mistakes: Vec<Mistake>,
    /// The keys that were taken out because of one.
    pub(crate) broken: BTreeSet<String>,
}

/// Walks `table` beside the schema of its file, and takes out of it whatever has the wrong shape.
pub(crate) fn check(text: &str, table: &mut DeTable<'_>, schema: &Value) -> Shape {
    let shape = Shape { mistakes: Vec::new(), broken: BTreeSet::new() };
    let mut walk = Walk { lines: Lines::new(text), whole: schema, shape };
    walk.table("", table, schema);
    walk.shape
}

struct Walk<'a> {
    lines: Lines<'a>,
    /// The schema of the file.
    whole: &'a Value,
    shape: Shape,
}

impl Walk<'_> {
    fn table(&mut self, parent: &str, table: &mut DeTable<'_>, schema: &Value) {
        let names: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
        for name in names {
            let path = below(parent, &name);
            let keep = match key_schema(schema, &name) {
                Some(schema) => {
                    let value = table.get_mut(name.as_str()).expect("invariant: the name comes from this table");
                    self.value(&path, value, schema)
                }
                None => {
                    let (key, _) = table.get_key_value(name.as_str()).expect("invariant: as above");
                    let span = key.span();
                    self.unknown_key((parent, &path), &name, span, schema);
                    false
                }
            };
            if !keep {
                table.remove(name.as_str());
                self.shape.broken.insert(path);
            }
        }
    }

    fn unknown_key(&mut self, (parent, path): (&str, &str), name: &str, span: Range<usize>, schema: &Value) {
        let known: Vec<&str> = properties(schema).map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default();
        let near = nearest(name, known.iter().copied());
        // The key that was meant is there, only misspelt: it shall not be called missing, too.
        self.shape.broken.extend(near.map(|near| below(parent, near)));
        let elsewhere = if near.is_none() { elsewhere(self.whole, name) } else { Vec::new() };
        let mut mistake = self
            .error(path, span, format!("unknown key `{name}`"))
            .expected(format!("expected one of {}", listed(&known)))
            .nearest(near.map(|near| format!("`{near}`")));
        if !elsewhere.is_empty() {
            mistake = mistake.advice(format!("there is a key of this name at {}", elsewhere.join(" and at ")));
        }
        self.shape.mistakes.push(mistake);
    }

    /// Whether the value may stay in the table.
    fn value(&mut self, path: &str, value: &mut Spanned<DeValue<'_>>, schema: &Value) -> bool {
        let span = value.span();
        if !types(schema).any(|t| has_type(value.get_ref(), t)) {
            let found = format!("`{}` is {}", last(path), kind(value.get_ref()));
            let mistake = self.error(path, span, found).expected(format!("expected {}", wanted(schema)));
            self.shape.mistakes.push(mistake.nearest(unquoted(value.get_ref(), schema)));
            return false;
        }
        match value.get_mut() {
            DeValue::Table(table) => {
                self.table(path, table, schema);
                true
            }
            DeValue::Array(items) => {
                let Some(of_items) = schema.get("items") else { return true };
                let before = self.shape.mistakes.len();
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(&entry(path, index), item, of_items);
                }
                self.shape.mistakes.len() == before
            }
            DeValue::String(text) => self.word(path, text, span, schema),
            DeValue::Integer(number) => {
                let value = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
                self.number(path, value, span, schema)
            }
            _ => true,
        }
    }

    /// Only a mistake needs to know its line: looking for it is the dearest part of the walk.
    fn error(&self, path: &str, span: Range<usize>, found: String) -> Mistake {
        Mistake::error(path, Some(self.lines.place(span)), found)
    }

    /// A word of a closed list.
    fn word(&mut self, path: &str, text: &str, span: Range<usize>, schema: &Value) -> bool {
        let words = words(schema);
        if words.is_empty() || words.contains(&text) {
            return true;
        }
        let quoted: Vec<String> = words.iter().map(|w| format!("{w:?}")).collect();
        let mistake = self
            .error(path, span, format!("`{}` cannot be {text:?}", last(path)))
            .expected(format!("expected {}", quoted.join(" or ")))
            .nearest(nearest(text, words.into_iter()).map(|near| format!("{near:?}")));
        self.shape.mistakes.push(mistake);
        false
    }

    fn number(&mut self, path: &str, value: i128, span: Range<usize>, schema: &Value) -> bool {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64).map(i128::from);
        let allowed: Vec<i128> = schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .map(i128::from)
            .collect();
        let expected = match (bound("minimum"), bound("maximum")) {
            _ if !allowed.is_empty() => {
                if allowed.contains(&value) {
                    return true;
                }
                allowed.iter().map(i128::to_string).collect::<Vec<_>>().join(" or ")
            }
            // TOML writers agree on no more than 63 bits.
            (low, high) if (low.unwrap_or(0)..=high.unwrap_or(i64::MAX.into())).contains(&value) => return true,
            (low, None) => format!("at least {}", low.unwrap_or(0)),
            (low, Some(high)) => format!("a number from {} to {high}", low.unwrap_or(0)),
        };
        let found = format!("`{}` cannot be {value}", last(path));
        let mistake = self.error(path, span, found).expected(format!("expected {expected}"));
        self.shape.mistakes.push(mistake);
        false
    }
}

/// The last key of a path, with the index of an entry.
pub(crate) fn last(path: &str) -> &str {
    // A quoted key may contain dots; it ends the path or is followed by one.
    if let Some(inside) = path.strip_suffix('"') {
        return &path[inside.rfind('"').unwrap_or(0)..];
    }
    path.rsplit('.').next().unwrap_or(path)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// The schema of the value at `name`: a key of its own, or any key of a table of names.
fn key_schema<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    properties(schema)
        .and_then(|p| p.get(name))
        .or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match schema.get("type") {
        Some(Value::String(one)) => (Some(one.as_str()), [].as_slice()),
        Some(Value::Array(many)) => (None, many.as_slice()),
        // A closed list of words has its type in each word.
        _ => (Some("string"), [].as_slice()),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn has_type(value: &DeValue<'_>, name: &str) -> bool {
    match value {
        DeValue::String(_) => name == "string",
        DeValue::Integer(_) => name == "integer",
        DeValue::Float(_) => name == "number",
        DeValue::Boolean(_) => name == "boolean",
        DeValue::Array(_) => name == "array",
        DeValue::Table(_) => name == "object",
        DeValue::Datetime(_) => false,
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The words of a closed list.
fn words(schema: &Value) -> Vec<&str> {
    let of = schema.get("oneOf").and_then(Value::as_array);
    of.into_iter().flatten().filter_map(|one| one.get("const")).filter_map(Value::as_str).collect()
}

/// What a schema wants, in words.
pub(crate) fn wanted(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        return words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(title) = schema.get("title").and_then(Value::as_str) {
        return match title {
            "duration" => "a duration with its unit, such as \"15 min\"".into(),
            "size" => "a size, such as \"25 MiB\"".into(),
            _ if title.starts_with("number") => format!("a {title}"),
            "address and port" => "an address and a port, such as \"192.0.2.1:25\"".into(),
            _ if title.starts_with(['a', 'e', 'i', 'o', 'I']) => format!("an {title}, in quotes"),
            _ => format!("a {title}, in quotes"),
        };
    }
    match types(schema).next() {
        Some("boolean") => "true or false".into(),
        Some("integer") => "a whole number".into(),
        Some("array") => match schema.get("items").and_then(|items| items.get("title")).and_then(Value::as_str) {
            Some(title) => format!("a list, in brackets: each entry {} {title}", article(title)),
            None => "a list".into(),
        },
        Some("object") => "a table".into(),
        _ => "a text, in quotes".into(),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'I']) { "an" } else { "a" }
}

/// The value that was meant by a text around a number or a switch, or by an entry without a list.
fn unquoted(value: &DeValue<'_>, schema: &Value) -> Option<String> {
    let DeValue::String(text) = value else { return None };
    let is = |name: &str| types(schema).any(|t| t == name);
    match text.as_ref() {
        "true" | "yes" | "on" if is("boolean") => Some("true".into()),
        "false" | "no" | "off" if is("boolean") => Some("false".into()),
        digits if is("integer") && digits.parse::<u32>().is_ok() => Some(digits.into()),
        other if is("array") => Some(format!("[{other:?}]")),
        _ => None,
    }
}

/// The name that is most like `name`, if any is like it.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    known
        .map(|known| (strsim::jaro_winkler(&lower, &known.replace('-', "_")), known))
        .filter(|(likeness, _)| *likeness > 0.82)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// The tables in which a key of this very name exists, as they are written in the manual.
fn elsewhere(schema: &Value, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    find(schema, "", name, &mut found);
    found
}

fn find(schema: &Value, path: &str, name: &str, found: &mut Vec<String>) {
    for (key, inner) in properties(schema).into_iter().flatten() {
        let path = below(path, key);
        if key == name {
            found.push(format!("`{path}`"));
        }
        find(inner, &path, name, found);
    }
    if let Some(inner) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
        find(inner, &format!("{path}.NAME"), name, found);
    }
}

/// Names in a sentence.
fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
