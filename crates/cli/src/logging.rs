//! What is logged, and where? Standard error, in lines for people or machines; conformance SE-01 and SE-05.

use crate::commands::serve::LogFormat;
use crate::failure::wrong_usage;
use std::fmt::{Debug, Write};
use std::io::{self, IsTerminal};
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
#[cfg(feature = "otlp")]
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Changes what is logged while the process runs.
#[derive(Clone)]
pub(crate) struct LogFilter {
    filter: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otlp")]
    traces: Option<crate::traces::Traces>,
}

impl LogFilter {
    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// If nobody logs any more.
    pub(crate) fn change(&self, filter: EnvFilter) -> anyhow::Result<()> {
        #[cfg(feature = "otlp")]
        let filter = with_spans(filter, self.traces.is_some());
        Ok(self.filter.reload(filter)?)
    }

    /// Sends what waits to be sent elsewhere.
    pub(crate) fn end(&self) {
        #[cfg(feature = "otlp")]
        self.traces.iter().for_each(crate::traces::Traces::end);
    }
}

/// The filter of a server.
///
/// # Errors
/// If it is none.
pub(crate) fn of_server(filter: Option<&str>) -> anyhow::Result<EnvFilter> {
    // actix tells how it starts its threads, which is of no interest unless one asks.
    parsed(filter, "info,actix_server=warn")
}

/// Begins to log for a server.
///
/// # Errors
/// If the filter is none, or somebody logs already.
pub(crate) fn start_for_server(filter: Option<&str>, format: LogFormat) -> anyhow::Result<LogFilter> {
    start(of_server(filter)?, format, true)
}

/// Begins to log for any other command: what does not fit into its answer, and no more.
///
/// # Errors
/// If the filter is none, or somebody logs already.
pub(crate) fn start_for_command() -> anyhow::Result<()> {
    let filter = std::env::var("TOKENBERG_LOG").ok();
    start(parsed(filter.as_deref(), "error")?, LogFormat::Text, false).map(|_| ())
}

fn start(filter: EnvFilter, format: LogFormat, is_server: bool) -> anyhow::Result<LogFilter> {
    #[cfg(feature = "otlp")]
    let traces = if is_server { crate::traces::Traces::begin()? } else { None };
    #[cfg(not(feature = "otlp"))]
    let _ = is_server;
    #[cfg(feature = "otlp")]
    let filter = with_spans(filter, traces.is_some());
    let (filter, handle) = reload::Layer::new(filter);
    let is_terminal = io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(is_terminal);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        LogFormat::Text if is_terminal => lines.boxed(),
        LogFormat::Text => lines.fmt_fields(debug_fn(write_field).delimited(" ")).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // In the lines, a span would say again what each of them says.
    #[cfg(feature = "otlp")]
    let lines = lines.with_filter(filter_fn(|about| about.target() != tokenberg_actix::SPANS));
    let subscriber = Registry::default().with(filter).with(lines);
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(traces.as_ref().map(crate::traces::Traces::layer));
    subscriber.try_init()?;
    Ok(LogFilter {
        filter: handle,
        #[cfg(feature = "otlp")]
        traces,
    })
}

/// Writes what a line says, or one of its fields: as the layer would, at half of the cost, because there are no colours in a file.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let name = field.name();
    if name != "message" {
        writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
        writer.write_char('=')?;
    }
    write!(OneLine(writer), "{value:?}")
}

/// Keeps control characters from ending a line or steering a terminal, whoever has put them in.
struct OneLine<'a, 'b>(&'a mut Writer<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // Looking at all of it, wherever the first one is, takes many bytes at a time.
        if text.bytes().fold(true, |plain, b| plain & (b' '..=b'~').contains(&b)) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> std::fmt::Result {
        if c.is_control() { write!(self.0, "{}", c.escape_default()) } else { self.0.write_char(c) }
    }
}

/// The same filter, which lets spans through if somebody wants them.
#[cfg(feature = "otlp")]
fn with_spans(filter: EnvFilter, wanted: bool) -> EnvFilter {
    let directive = format!("{}=debug", tokenberg_actix::SPANS).parse();
    match directive {
        Ok(directive) if wanted => filter.add_directive(directive),
        Ok(_) | Err(_) => filter,
    }
}

/// The filter that was asked for, else that of RUST_LOG, else the default.
fn parsed(filter: Option<&str>, default: &str) -> anyhow::Result<EnvFilter> {
    let of_rust = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = filter.or(of_rust.as_deref()).unwrap_or(default);
    EnvFilter::try_new(text).map_err(|fault| wrong_usage(format!("--log: {text:?} is no filter ({fault})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_05_whatever_a_field_says_stays_in_its_line_and_does_not_steer_a_terminal() {
        for (said, written) in [
            ("plain", "plain"),
            ("a\nb\r\n", "a\\nb\\r\\n"),
            ("\u{1b}[31mred\u{7f}\u{9b}", "\\u{1b}[31mred\\u{7f}\\u{9b}"),
            ("caf\u{e9} \u{4e2d}", "caf\u{e9} \u{4e2d}"),
            ("", ""),
        ] {
            let mut text = String::new();
            write!(OneLine(&mut Writer::new(&mut text)), "{said}").unwrap();
            assert_eq!(text, written);
        }
    }
}
