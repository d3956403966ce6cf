//! How long functions and files are. Someone reads this before a release and splits or shrugs.

use std::io::Write;

use anyhow::Result;

use crate::source::{self, Source};

/// The two functions that rot everywhere: the one that receives a message and the one that attempts
/// a delivery.
const WATCHED: [&str; 2] = ["receive", "attempt"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many of the longest to print
    #[arg(long, default_value_t = 20)]
    longest: usize,
}

struct Row<'a> {
    length: usize,
    name: &'a str,
    place: String,
}

/// Prints the longest functions and files of the product, percentiles, and the watched two.
pub(crate) fn run(options: &Options) -> Result<()> {
    let sources: Vec<Source> = source::files(&crate::root().join("crates"), "rs");
    let mut rows = Vec::new();
    for source in &sources {
        rows.extend(source.functions().into_iter().map(|function| Row {
            length: function.length,
            name: function.name,
            place: format!("crates/{}:{}", source.path, function.line),
        }));
    }
    rows.sort_by(|a, b| b.length.cmp(&a.length).then_with(|| a.place.cmp(&b.place)));
    let mut page = format!("The {} longest of {} functions:\n", options.longest.min(rows.len()), rows.len());
    page.extend(rows.iter().take(options.longest).map(Row::line));
    page.push_str("\nWatched by name:\n");
    page.extend(rows.iter().filter(|row| WATCHED.contains(&row.name)).map(Row::line));
    let lengths: Vec<usize> = rows.iter().rev().map(|row| row.length).collect();
    let percentiles = [50, 90, 99].map(|percent| format!("p{percent} {}", percentile(&lengths, percent)));
    page.push_str(&format!("\nLength of functions: {}\n", percentiles.join(", ")));
    page.push_str(&files(&sources, options.longest));
    // Whoever looks only at the beginning (`| head`) closes the pipe early.
    let _ = std::io::stdout().write_all(page.as_bytes());
    Ok(())
}

impl Row<'_> {
    fn line(&self) -> String {
        format!("{:5}  {:32}  {}\n", self.length, self.name, self.place)
    }
}

fn files(sources: &[Source], longest: usize) -> String {
    let mut files: Vec<(usize, &Source)> = sources.iter().map(|source| (source.lines(), source)).collect();
    files.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.path.cmp(&b.1.path)));
    let mut page = format!("\nThe {} longest of {} files:\n", longest.min(files.len()), files.len());
    page.extend(files.iter().take(longest).map(|(lines, source)| format!("{lines:5}  crates/{}\n", source.path)));
    let product: usize = sources.iter().map(|source| source.product().lines().count()).sum();
    let all: usize = files.iter().map(|(lines, _)| lines).sum();
    page.push_str(&format!("\n{product} lines of product, {} of tests beside it\n", all - product));
    page
}

/// The value below which `percent` per cent of the ascending `values` lie.
fn percentile(values: &[usize], percent: usize) -> usize {
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<usize> = (1..=10).collect();
        assert_eq!([50, 90, 99].map(|percent| percentile(&values, percent)), [5, 9, 10]);
        assert_eq!(percentile(&[], 50), 0);
    }
}
