//! The rows of the audit: one record, or a block of records that were written together. A row for each record costs the
//! database several times as much.
//!
//! ```text
//! {"endpoint":…}                           one record, made when the row says
//! 1764100000123 {"endpoint":…}⏎            several: when it was made, what it says
//! 1764100000124 {"endpoint":…}⏎
//! ```

use std::fmt::Write;

/// Number of the last record in it, time of the youngest, the records, hash.
pub(crate) type Row = (i64, i64, String, Vec<u8>);

/// The most records of a block, so that reading one takes some hundred kilobytes.
const MOST: usize = 256;

/// When a record was made, in milliseconds since 1970, and what it says: a JSON object in one line.
pub(crate) type Record<'a> = (i64, &'a str);

/// Records that become a row, with their number and the time of the youngest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) records: i64,
    pub(crate) at: i64,
    pub(crate) text: String,
}

impl Block {
    /// A block of one record.
    pub(crate) fn of_one(at: i64, text: String) -> Self {
        Self { records: 1, at, text }
    }

    /// All records, in as few blocks as possible.
    pub(crate) fn all<'a>(records: &'a [Record<'a>]) -> impl Iterator<Item = Self> + 'a {
        records.chunks(MOST).filter_map(|records| {
            if let [(at, record)] = records {
                return Some(Self::of_one(*at, (*record).to_owned()));
            }
            // Not that of the last: a clock may have been set back.
            let youngest = records.iter().map(|(at, _)| *at).max()?;
            let mut text = String::with_capacity(records.iter().map(|(_, record)| record.len() + 16).sum());
            for (at, record) in records {
                write!(text, "{at} ").ok()?;
                text.push_str(record);
                text.push('\n');
            }
            Some(Self { records: i64::try_from(records.len()).ok()?, at: youngest, text })
        })
    }
}

/// The records of a row of this time.
pub(crate) fn records(at: i64, text: &str) -> impl Iterator<Item = Record<'_>> {
    let is_block = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let one = (!is_block).then_some((at, text));
    let several = if is_block { text } else { "" };
    // A forged line is read as it is; its hash shows that it is forged.
    let several = several.lines().map(move |line| match line.split_once(' ') {
        Some((made, record)) => (made.parse().unwrap_or(at), record),
        None => (at, line),
    });
    one.into_iter().chain(several)
}

/// How many records a row holds.
pub(crate) fn count(text: &str) -> i64 {
    i64::try_from(records(0, text).count()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_return_the_records_that_were_stored() {
        for many in [1_usize, 2, 255, 256, 257, 600] {
            let texts: Vec<String> = (0..many).map(|n| format!("{{\"n\":\"{n} \\n\"}}")).collect();
            let put: Vec<Record<'_>> = (-1..).zip(texts.iter().map(String::as_str)).collect();
            let blocks: Vec<Block> = Block::all(&put).collect();
            assert_eq!(blocks.len(), many.div_ceil(MOST));
            assert_eq!(blocks.iter().map(|block| block.records).sum::<i64>(), many as i64);
            let taken: Vec<Record<'_>> =
                blocks.iter().flat_map(|block| records(block.at, &block.text)).collect();
            assert_eq!(taken, put);
            for block in &blocks {
                assert_eq!(count(&block.text), block.records);
                assert_eq!(Some(block.at), records(block.at, &block.text).map(|(at, _)| at).max());
            }
        }
        assert_eq!(Block::all(&[]).next(), None);
    }

    #[test]
    fn se_06_any_content_of_a_row_can_be_read() {
        for (text, read) in [
            ("", vec![(7, "")]),
            ("{}", vec![(7, "{}")]),
            ("nonsense", vec![(7, "nonsense")]),
            ("1 {}\n", vec![(1, "{}")]),
            ("1 {}\nnonsense\n99999999999999999999 {}", vec![(1, "{}"), (7, "nonsense"), (7, "{}")]),
        ] {
            assert_eq!(records(7, text).collect::<Vec<_>>(), read, "{text:?}");
        }
    }
}
