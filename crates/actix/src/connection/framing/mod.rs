//! Splits the bytes of a connection into requests: RFC 9112 §2.2, §6 and §7.1.
//!
//! actix decodes everything that it has read before it answers the first request. [`Framer`] finds where each request ends, so
//! that [`crate::connection::stream`] hands actix one request at a time. It refuses nothing: actix decodes the same bytes and
//! answers 400 to malformed ones. From the first byte that the framer does not understand, it hands out nothing more, so a
//! disagreement about framing never becomes a second request.

use crate::head_limits::MOST_FIELDS;

/// The largest head that actix is given, in bytes. `crate::endpoint::guard` refuses less than this, but does not count the white
/// space around names and values.
pub(crate) const LARGEST_RAW_HEAD: usize = 40 * 1024;

/// The allowed overhead of a chunked body (sizes, extensions, trailers and line ends), in bytes, and as a share of its data. It
/// costs more to read than data: a body of 1 MiB in chunks of one byte, 94 ms.
const MOST_OVERHEAD: (u64, u64) = (64 * 1024, 8);

/// The longest line whose value is read when the line arrives in parts.
const LONGEST_KEPT_LINE: usize = 256;

/// Where in a request the next byte belongs.
#[derive(Default)]
pub(crate) struct Framer {
    position: Position,
    head: Head,
    /// What was read of a chunked body: its data, and the overhead.
    chunked: (u64, u64),
    is_wasteful: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    #[default]
    Head,
    /// So many bytes of the body are still to come.
    Body(u64),
    Chunks(Chunk),
    /// Nothing more is handed out.
    Unknown,
}

/// The state of a head whose end has not arrived.
#[derive(Default)]
struct Head {
    bytes: usize,
    lines: usize,
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    content_length: Option<u64>,
    is_chunked: bool,
    /// Whether a field begins after the last that is allowed.
    has_surplus: bool,
}

/// The states of actix-http's decoder of chunks (`h1/chunked.rs`), which are those of RFC 9112 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    SizeFirst,
    Size(u64),
    SizeSpace(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the line that ends the body.
    LineOrEnd,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// How much of some bytes belongs to the request that they begin with or continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portion {
    /// The length of the part that may be handed out.
    pub(crate) length: usize,
    /// Whether a head ends in this part.
    pub(crate) ends_head: bool,
}

impl Framer {
    /// Reads on, to the end of a request at most. The part is empty only if there are no bytes, or [`Framer::is_lost`], or
    /// something follows to [`Framer::cut_off`].
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Portion {
        let mut portion = Portion { length: 0, ends_head: false };
        while let rest @ [_, ..] = &bytes[portion.length..] {
            match self.position {
                Position::Head => {
                    let (length, has_ended) = self.head.read(rest);
                    portion.length += length;
                    if !has_ended {
                        break;
                    }
                    self.position = self.head.body();
                    self.head.clear();
                    self.chunked = (0, 0);
                    portion.ends_head = true;
                }
                Position::Body(remaining) => {
                    let length = usize::try_from(remaining).map_or(rest.len(), |n| n.min(rest.len()));
                    portion.length += length;
                    self.position = match remaining - length as u64 {
                        0 => Position::Head,
                        more => Position::Body(more),
                    };
                }
                Position::Chunks(chunk) => {
                    let (length, next) = chunk.read(rest);
                    portion.length += length;
                    self.position = match next {
                        _ if self.wastes(chunk, length as u64) => Position::Unknown,
                        Some(Chunk::End) => Position::Head,
                        Some(next) => Position::Chunks(next),
                        None => Position::Unknown,
                    };
                }
                Position::Unknown => break,
            }
            if self.is_between() {
                break;
            }
        }
        portion
    }

    /// Counts what was read in this state. Returns whether too little of the body is data.
    fn wastes(&mut self, chunk: Chunk, length: u64) -> bool {
        let (data, rest) = &mut self.chunked;
        if matches!(chunk, Chunk::Data(_)) {
            *data += length;
        } else {
            *rest += length;
        }
        self.is_wasteful = *rest > MOST_OVERHEAD.0 + *data / MOST_OVERHEAD.1;
        self.is_wasteful
    }

    /// Whether nothing more of a body is handed out because too little of it is data.
    pub(crate) fn is_wasteful(&self) -> bool {
        self.is_wasteful
    }

    /// Whether the last request is complete, and nothing of the next was read. Empty lines are nothing.
    pub(crate) fn is_between(&self) -> bool {
        self.position == Position::Head && self.head.lines == 0 && self.head.line.is_empty()
    }

    /// Whether the next byte belongs to a head that has begun.
    pub(crate) fn is_in_head(&self) -> bool {
        self.position == Position::Head && !self.is_between()
    }

    /// Whether the framing was not understood, so that nothing more is handed out.
    pub(crate) fn is_lost(&self) -> bool {
        self.position == Position::Unknown
    }

    /// If the head is larger than [`LARGEST_RAW_HEAD`] or has more than [`MOST_FIELDS`]: the bytes that end it here, so that it
    /// can be answered; from then on nothing more is handed out. Empty if nothing could be answered.
    pub(crate) fn cut_off(&mut self) -> Option<&'static [u8]> {
        let is_large = self.head.bytes > LARGEST_RAW_HEAD || self.head.has_surplus;
        if self.position != Position::Head || !is_large {
            return None;
        }
        self.position = Position::Unknown;
        Some(match (self.head.lines, self.head.line.as_slice()) {
            (0, []) => b"",
            (0, _) => b" HTTP/1.1\r\nHost: _\r\n\r\n",
            (_, []) => b"\r\n",
            (_, line) if line.contains(&b':') => b"\r\n\r\n",
            (_, _) => b":\r\n\r\n",
        })
    }
}

impl Head {
    /// Reads to the end of the head. Returns how much that is, and whether it has ended.
    fn read(&mut self, bytes: &[u8]) -> (usize, bool) {
        let (mut length, mut has_ended) = (0, false);
        if self.begins_surplus(bytes) {
            return (0, false);
        }
        while let Some(end) = memchr::memchr(b'\n', &bytes[length..]) {
            let line = &bytes[length..=length + end];
            length += line.len();
            has_ended = if self.line.is_empty() {
                self.line_ends(line)
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.line);
                self.line_ends(&line)
            };
            if has_ended || self.begins_surplus(&bytes[length..]) {
                break;
            }
        }
        if !has_ended && !self.has_surplus {
            self.keep(&bytes[length..]);
            length = bytes.len();
        }
        self.bytes += length;
        (length, has_ended)
    }

    /// Whether a field begins here after the last that is allowed.
    fn begins_surplus(&mut self, bytes: &[u8]) -> bool {
        let may_end = self.lines <= MOST_FIELDS || !self.line.is_empty();
        self.has_surplus |= !may_end && bytes.first().is_some_and(|byte| !b"\r\n".contains(byte));
        self.has_surplus
    }

    /// Keeps a part of a line that has not ended before.
    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST_KEPT_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// Processes a line. Returns whether it ends the head.
    fn line_ends(&mut self, line: &[u8]) -> bool {
        let first = match *line {
            // RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one
            // empty line".
            [] | [_] | [b'\r', b'\n'] => return self.lines > 0,
            [first, ..] => first,
        };
        self.lines += 1;
        if !b"CcTt".contains(&first) {
            return false;
        }
        // The value of a line that was too long to keep is unknown.
        if self.lines > 1
            && let Some((name, value)) = line.strip_suffix(b"\n").and_then(field)
        {
            if name.eq_ignore_ascii_case(b"content-length") {
                let digits = std::str::from_utf8(value).ok().filter(|value| !value.starts_with('+'));
                self.content_length = digits.and_then(|digits| digits.parse().ok());
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
            }
        }
        false
    }

    /// Resets the state.
    fn clear(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        *self = Self { line, ..Self::default() };
    }

    /// The body that follows. actix refuses a head with two lengths, or with a length and an encoding.
    fn body(&self) -> Position {
        match self.content_length {
            _ if self.is_chunked => Position::Chunks(Chunk::SizeFirst),
            Some(0) | None => Position::Head,
            Some(length) => Position::Body(length),
        }
    }
}

// field-line = field-name ":" OWS field-value OWS      RFC 9112 §5
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // The two names that count have these lengths.
    let name = [14, 17].into_iter().find(|length| line.get(*length) == Some(&b':'))?;
    Some((&line[..name], line[name + 1..].trim_ascii()))
}

impl Chunk {
    /// Reads on in this state. Returns how much that is, and the next state, if there is one that is allowed.
    fn read(self, bytes: &[u8]) -> (usize, Option<Self>) {
        let Some(byte) = bytes.first().copied() else { return (0, Some(self)) };
        let next = match self {
            Self::SizeFirst => hex_digit(byte).map(Self::Size),
            Self::Size(size) => match hex_digit(byte) {
                Some(digit) => size.checked_mul(16).map(|size| Self::Size(size + digit)),
                None => Self::after_size(size, byte),
            },
            Self::SizeSpace(size) => Self::after_size(size, byte),
            Self::Extension(size) => match byte {
                b'\r' => Some(Self::SizeLf(size)),
                0..=0x08 | 0x0A..=0x1F | 0x7F => None,
                _ => Some(self),
            },
            Self::SizeLf(size) => match (byte, size) {
                (b'\n', 0) => Some(Self::LineOrEnd),
                (b'\n', _) => Some(Self::Data(size)),
                _ => None,
            },
            Self::Data(remaining) => {
                let length = usize::try_from(remaining).map_or(bytes.len(), |n| n.min(bytes.len()));
                let next = match remaining - length as u64 {
                    0 => Self::DataCr,
                    more => Self::Data(more),
                };
                return (length, Some(next));
            }
            Self::DataCr => (byte == b'\r').then_some(Self::DataLf),
            Self::DataLf => (byte == b'\n').then_some(Self::SizeFirst),
            Self::LineOrEnd if byte == b'\r' => Some(Self::EndLf),
            Self::Trailer if byte == b'\r' => Some(Self::TrailerLf),
            Self::LineOrEnd | Self::Trailer => Some(Self::Trailer),
            Self::TrailerLf => (byte == b'\n').then_some(Self::LineOrEnd),
            Self::EndLf => (byte == b'\n').then_some(Self::End),
            Self::End => None,
        };
        (1, next)
    }

    /// What may follow the digits of a size.
    fn after_size(size: u64, byte: u8) -> Option<Self> {
        match byte {
            b'\t' | b' ' => Some(Self::SizeSpace(size)),
            b';' => Some(Self::Extension(size)),
            b'\r' => Some(Self::SizeLf(size)),
            _ => None,
        }
    }
}

fn hex_digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests;
