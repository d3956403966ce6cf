//! x
#![allow(dead_code)]
pub mod file;
mod units;

#[cfg(test)]
#[test]
fn show() {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|s| s.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<file::File>();
    println!("{}", serde_json::to_string_pretty(&schema).unwrap());
}
