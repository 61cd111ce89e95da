//! The log, on standard error, in lines for people or machines; conformance SE-01 and SE-05.

use crate::failure::warn;
use crate::log_floods::LogFloods;
use crate::output::in_sight;
use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};
use tokenberg_core::text::is_unsafe_to_display;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
#[cfg(feature = "otlp")]
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// Changes the filter of the log while the process runs.
#[derive(Clone)]
pub(crate) struct LogFilter {
    filter: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otlp")]
    traces: Option<crate::traces::Traces>,
}

impl LogFilter {
    /// Replaces the filter.
    ///
    /// # Errors
    /// If logging has ended.
    pub(crate) fn change(&self, filter: EnvFilter) -> anyhow::Result<()> {
        #[cfg(feature = "otlp")]
        let filter = with_spans(filter, self.traces.is_some());
        Ok(self.filter.reload(filter)?)
    }

    /// Sends the spans that are still queued.
    pub(crate) fn end(&self) {
        #[cfg(feature = "otlp")]
        self.traces.iter().for_each(crate::traces::Traces::end);
    }
}

/// Parses a filter, and returns its text.
///
/// # Errors
/// If the filter is invalid.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    let wrong =
        |error| format!("expected a filter, such as `info` or `warn,tokenberg::audit=info` ({error})");
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(wrong)
}

/// The filter of a server.
///
/// # Errors
/// If the filter is invalid.
pub(crate) fn of_server(filter: &str) -> anyhow::Result<EnvFilter> {
    Ok(EnvFilter::try_new(filter)?)
}

/// Starts the log of a server.
///
/// # Errors
/// If the filter is invalid, or the log has been started already.
pub(crate) fn start_for_server(filter: &str, format: LogFormat) -> anyhow::Result<LogFilter> {
    start(of_server(filter)?, format, true)
}

/// Starts the log of any other command: errors, unless TOKENBERG_LOG or RUST_LOG is a filter. An invalid filter causes a warning.
///
/// # Errors
/// If the log has been started already.
pub(crate) fn start_for_command() -> anyhow::Result<()> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let filter = ["TOKENBERG_LOG", "RUST_LOG"].into_iter().find(is_set).and_then(|name| {
        let text = std::env::var(name).unwrap_or_default();
        let parsed = filter(&text);
        parsed.inspect_err(|reason| warn(&format!("invalid value {text:?} for {name}: {reason}"))).ok()
    });
    start(EnvFilter::try_new(filter.as_deref().unwrap_or("error"))?, LogFormat::Text, false).map(|_| ())
}

/// Whether the environment allows colors on a terminal; <https://no-color.org>: any value of NO_COLOR but the empty one forbids them.
fn allows_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn start(filter: EnvFilter, format: LogFormat, is_server: bool) -> anyhow::Result<LogFilter> {
    #[cfg(feature = "otlp")]
    let traces = if is_server { crate::traces::Traces::begin()? } else { None };
    #[cfg(not(feature = "otlp"))]
    let _ = is_server;
    #[cfg(feature = "otlp")]
    let filter = with_spans(filter, traces.is_some());
    let (filter, handle) = reload::Layer::new(filter);
    let is_colored = io::stderr().is_terminal() && allows_color();
    let lines = fmt::layer().with_writer(io::stderr).with_timer(Clock).with_ansi(is_colored);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        LogFormat::Text if is_colored => lines.boxed(),
        LogFormat::Text => lines.fmt_fields(PlainFields).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_writer(|| JsonLines).boxed(),
    };
    // In the lines, a span would repeat what each of them contains.
    #[cfg(feature = "otlp")]
    let lines = lines.with_filter(filter_fn(|about| about.target() != tokenberg_actix::SPANS));
    let subscriber = Registry::default().with(filter).with(LogFloods::default()).with(lines);
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(traces.as_ref().map(crate::traces::Traces::layer));
    subscriber.try_init()?;
    Ok(LogFilter {
        filter: handle,
        #[cfg(feature = "otlp")]
        traces,
    })
}

/// Writes lines of JSON in which no character of any text can control a terminal.
struct JsonLines;

impl io::Write for JsonLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) if !is_plain(text.trim_end()) => io::stderr().write_all(in_sight(text).as_bytes())?,
            Ok(_) | Err(_) => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes the time of a line, as in `2026-07-30T12:00:00.000001Z`. Its date and time are formatted once a second.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        thread_local! {
            static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SECOND.with_borrow_mut(|(second, text)| {
            if *second != since.as_secs() || text.is_empty() {
                let at = i64::try_from(since.as_secs()).ok().and_then(|at| Timestamp::from_second(at).ok());
                *text = at.unwrap_or_default().to_string();
                // The Z follows the microseconds.
                text.pop();
                *second = since.as_secs();
            }
            writer.write_str(text)
        })?;
        let (mut digits, mut rest) = (*b".000000Z", since.subsec_micros());
        for digit in digits[1..7].iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        writer.write_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

/// Writes the message and the fields of a line: as the layer would, at a third of the cost, because there are no colors in a file
/// and most texts need no escaping.
struct PlainFields;

impl<'w> FormatFields<'w> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> std::fmt::Result {
        let mut line = PlainLine { writer, is_begun: false, outcome: Ok(()) };
        fields.record(&mut line);
        line.outcome
    }
}

struct PlainLine<'w> {
    writer: Writer<'w>,
    is_begun: bool,
    outcome: std::fmt::Result,
}

impl PlainLine<'_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> std::fmt::Result) {
        let writer = &mut self.writer;
        let write = || {
            if std::mem::replace(&mut self.is_begun, true) {
                writer.write_char(' ')?;
            }
            if field.name() != "message" {
                writer.write_str(field.name())?;
                writer.write_char('=')?;
            }
            value(writer)
        };
        self.outcome = self.outcome.and_then(|()| write());
    }
}

impl Visit for PlainLine<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !is_plain(value) || value.contains(['"', '\\']) {
            return self.record_debug(field, &value);
        }
        self.field(field, |writer| {
            writer.write_char('"')?;
            writer.write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |writer| write!(OneLine(writer), "{value:?}"));
    }
}

/// Whether the text is all printable ASCII. Checking all bytes, without an early exit, processes many bytes at a time.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, b| plain & (b' '..=b'~').contains(&b))
}

/// Keeps control characters of any text from ending a line or controlling a terminal.
struct OneLine<'a, 'b>(&'a mut Writer<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if is_plain(text) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> std::fmt::Result {
        if is_unsafe_to_display(c) { write!(self.0, "{}", c.escape_default()) } else { self.0.write_char(c) }
    }
}

/// The same filter, which lets spans through if they are exported.
#[cfg(feature = "otlp")]
fn with_spans(filter: EnvFilter, wanted: bool) -> EnvFilter {
    let directive = format!("{}=debug", tokenberg_actix::SPANS).parse();
    match directive {
        Ok(directive) if wanted => filter.add_directive(directive),
        Ok(_) | Err(_) => filter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn se_05_a_field_stays_on_its_line_and_cannot_control_a_terminal() {
        for (said, written) in [
            ("plain", "plain"),
            ("a\nb\r\n", "a\\nb\\r\\n"),
            ("\u{1b}[31mred\u{7f}\u{9b}", "\\u{1b}[31mred\\u{7f}\\u{9b}"),
            ("caf\u{e9} \u{4e2d}", "caf\u{e9} \u{4e2d}"),
            ("\u{61c}\u{202e}\u{e0041}", "\\u{61c}\\u{202e}\\u{e0041}"),
            ("", ""),
        ] {
            let mut text = String::new();
            write!(OneLine(&mut Writer::new(&mut text)), "{said}").unwrap();
            assert_eq!(text, written);
        }
    }

    #[test]
    fn log_lines_have_times_in_microseconds() {
        let mut last = Timestamp::now();
        for wait in [0, 0, 1, 1200] {
            std::thread::sleep(std::time::Duration::from_millis(wait));
            let mut text = String::new();
            Clock.format_time(&mut Writer::new(&mut text)).unwrap();
            assert_eq!(text.len(), "2026-07-30T12:00:00.000001Z".len(), "{text}");
            let written: Timestamp = text.parse().unwrap();
            let now = Timestamp::now();
            assert!(
                last.as_microsecond() <= written.as_microsecond() && written <= now,
                "{last} {written} {now}"
            );
            last = written;
        }
    }

    #[test]
    fn se_05_texts_with_and_without_escapes_have_the_same_format() {
        /// A writer that collects everything written to it in one text.
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<String>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = |is_ours: bool| {
            let lines = Lines::default();
            let sink = lines.clone();
            let layer = fmt::layer().without_time().with_ansi(false).with_writer(move || sink.clone());
            let subscriber = Registry::default();
            let write = || {
                for text in ["plain", "", "with \"quotes\"", "a\\b", "a\nb", "caf\u{e9}", "it's"] {
                    tracing::info!(text, debug = ?text, shown = %7, number = 7, is = true, none = None::<&str>, "said");
                }
                tracing::info!(r#type = "x");
            };
            if is_ours {
                tracing::subscriber::with_default(subscriber.with(layer.fmt_fields(PlainFields)), write);
            } else {
                tracing::subscriber::with_default(subscriber.with(layer), write);
            }
            lines.0.lock().unwrap().clone()
        };
        assert!(
            log(true)
                .contains(r#"said text="with \"quotes\"" debug="with \"quotes\"" shown=7 number=7 is=true"#)
        );
        assert_eq!(log(true), log(false));
    }
}
