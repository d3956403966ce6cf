//! The manual's reference, written from the types of `file`: an annotated example, a table of every
//! key, and the JSON Schema that editors read. Nothing is said there that is not said in `file`, so
//! a key cannot be documented wrongly, nor a default be hidden.

use crate::places::below;
use crate::shape::{invariant_schema, schema};
use serde_json::{Map, Value};
use std::fmt::Write;
use toml::Value as Toml;

/// The names that stand in the reference for those that an administrator chooses.
fn example_name(table: &str) -> &'static str {
    match table {
        "virtual_server" => "inbound",
        "file" => "people",
        "ldap" => "corp",
        "tokens" => "logins",
        "kerberos" => "realm",
        "winbind" => "domain",
        "pam" => "host",
        "peer" => "ex1",
        _ => "corp2.example",
    }
}

/// The JSON Schema of the settings file, for editors that know TOML.
#[must_use]
pub fn json_schema() -> String {
    titled(schema(), "Bridgehead settings")
}

/// The JSON Schema of the file of invariants, for editors that know TOML.
#[must_use]
pub fn invariant_json_schema() -> String {
    titled(invariant_schema(), "Bridgehead invariants")
}

fn titled(schema: &Value, title: &str) -> String {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), title.into());
    }
    let mut text = serde_json::to_string_pretty(&schema).expect("invariant: a schema is JSON");
    text.push('\n');
    text
}

/// A settings file with every key: those that must be given stand there, all others are comments
/// that show the default, or an example where there is none.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Every key of the settings file. What is commented out shows its default;\n\
         # lines that begin with `# e.g.` have no default and show an example.\n",
    );
    example_table(&mut out, "", schema());
    out
}

fn example_table(out: &mut String, path: &str, schema: &Value) {
    let mut tables = Vec::new();
    for (name, key) in properties(schema) {
        if is_table(key) {
            tables.push((name, key));
            continue;
        }
        out.push('\n');
        comment(out, description(key));
        for (word, meaning) in words(key) {
            comment(out, &format!("{}: {meaning}", toml_text(&Value::from(word))));
        }
        let is_required = required(schema).any(|required| required == name);
        let lead = match key.get("default") {
            _ if is_required => "",
            Some(_) => "#",
            None => "# e.g. ",
        };
        let value = if is_required { example_of(key) } else { key.get("default").or(example_of(key)) };
        let _ = writeln!(out, "{lead}{name} = {}", value.map(toml_text).unwrap_or_default());
    }
    for (name, table) in tables {
        example_section(out, path, name, table);
    }
}

fn example_section(out: &mut String, path: &str, name: &str, table: &Value) {
    out.push('\n');
    let path = below(path, name);
    let named = names(table);
    let header = match named {
        Some(_) => below(&path, example_name(name)),
        None => path.clone(),
    };
    comment(out, description(table));
    match named {
        // Names with a plain value, as alias domains have them.
        Some(inner) if !is_table(inner) => {
            let _ = writeln!(out, "#[{path}]");
            for (key, value) in table["examples"][0].as_object().into_iter().flatten() {
                let _ = writeln!(out, "#{key:?} = {}", toml_text(value));
            }
        }
        Some(inner) => {
            let lead = if required(inner).next().is_some() { "" } else { "#" };
            let _ = writeln!(out, "{lead}[{header}]");
            example_table(out, &header, inner);
        }
        None => {
            let _ = writeln!(out, "[{header}]");
            example_table(out, &header, table);
        }
    }
}

/// The table of every key, for the manual.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         Every key of the settings file, in its order there. This page is generated from the types that read\n\
         the file; `bridgehead.example.toml` beside it is the same as a file to begin with, and\n\
         `bridgehead.schema.json` the same for editors.\n\n\
         A *size* is a whole number of octets, or a text with a unit: `B`, `KiB`, `MiB`, `GiB`. A *duration* is a\n\
         text with a unit: `s`, `min`, `h`, `d`. An *address, network or domain* is one of `192.0.2.1`,\n\
         `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32`, `partner.example`. A *smart host* is an address in\n\
         brackets, which is not looked up, or a name: `[10.0.0.20]`, `[IPv6:2001:db8::20]:2525`,\n\
         `relay.example.net`.\n",
    );
    markdown_table(&mut out, "", schema());
    let invariant = &invariant_schema()["properties"]["invariant"]["items"];
    let _ = write!(
        out,
        "\n## The file of invariants\n\n{} Each key stands in an `[[invariant]]` table.\n\n",
        description(invariant_schema())
    );
    markdown_keys(&mut out, invariant);
    out
}

fn markdown_table(out: &mut String, path: &str, schema: &Value) {
    let heading = if path.is_empty() { "At the top of the file".to_owned() } else { format!("`[{path}]`") };
    let _ = write!(out, "\n## {heading}\n\n");
    if !path.is_empty() {
        let _ = write!(out, "{}\n\n", description(schema));
    }
    markdown_keys(out, schema);
    for (name, table) in properties(schema).filter(|(_, key)| is_table(key) && !plain_names(key)) {
        let path = below(path, name);
        match names(table) {
            Some(inner) => markdown_table(out, &format!("{path}.NAME"), inner),
            None => markdown_table(out, &path, table),
        }
    }
}

/// The keys of one table that are not tables themselves.
fn markdown_keys(out: &mut String, schema: &Value) {
    let keys: Vec<_> = properties(schema).filter(|(_, key)| !is_table(key) || plain_names(key)).collect();
    if !keys.is_empty() {
        out.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    }
    for (name, key) in keys {
        let is_required = required(schema).any(|required| required == name);
        let default = match key.get("default") {
            _ if is_required => "required".to_owned(),
            Some(default) => format!("`{}`", toml_text(default)),
            None => "absent".to_owned(),
        };
        let mut meaning = description(key).to_owned();
        for (word, what) in words(key) {
            let _ = write!(meaning, "<br>`{}`: {what}", toml_text(&Value::from(word)));
        }
        let _ = writeln!(out, "| `{name}` | {} | {default} | {} |", kind(key), meaning.replace('|', "\\|"));
    }
}

/// The type of a key in the manual's words.
fn kind(key: &Value) -> String {
    let title = |schema: &Value| schema.get("title").and_then(Value::as_str).map(str::to_owned);
    if words(key).next().is_some() {
        return words(key).map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(Value::Array(allowed)) = key.get("enum") {
        return allowed.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(title) = title(key) {
        return title;
    }
    match key.get("type").and_then(Value::as_str) {
        Some("array") => format!("list: {}", key.get("items").and_then(title).unwrap_or_default()),
        Some("boolean") => "`true` or `false`".into(),
        Some("integer") => match (key.get("minimum"), key.get("maximum")) {
            (Some(low), Some(high)) => format!("number from {low} to {high}"),
            _ => "number".into(),
        },
        Some("object") => {
            format!("table: name = {}", names(key).and_then(title).unwrap_or_default())
        }
        _ => "text".into(),
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// The keys that must be there; where one of several will do, the first.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let either = schema.get("anyOf").and_then(|either| either.get(0));
    let lists = [Some(schema), either].into_iter().flatten().filter_map(|schema| schema.get("required"));
    lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str)
}

fn is_table(schema: &Value) -> bool {
    schema.get("type").is_some_and(|t| t == "object")
}

/// The schema of the values of a table whose keys an administrator chooses.
fn names(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|inner| inner.is_object())
}

/// A table of names that have plain values and not tables.
fn plain_names(schema: &Value) -> bool {
    names(schema).is_some_and(|inner| !is_table(inner))
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// The words of a closed list, each with its meaning.
fn words(schema: &Value) -> impl Iterator<Item = (&str, &str)> {
    let of = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    of.filter_map(|one| Some((one.get("const")?.as_str()?, description(one))))
}

fn example_of(schema: &Value) -> Option<&Value> {
    schema.get("examples").and_then(|examples| examples.get(0))
}

/// A JSON value as TOML writes it.
fn toml_text(value: &Value) -> String {
    Toml::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}

/// The widest a comment line becomes.
const WIDTH: usize = 98;

/// Writes a comment, wrapped.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        out.push_str(&line);
        out.push('\n');
    }
}
