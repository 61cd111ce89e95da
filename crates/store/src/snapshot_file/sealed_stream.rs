//! Encrypts and authenticates a stream in chunks, so that it needs little memory at any length, and no chunk can be changed, moved or
//! left out.
//!
//! Each chunk is sealed with ChaCha20-Poly1305 (RFC 8439 §2.8). The key is used for one stream. The nonce is the number of the chunk and
//! whether it is the last one.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::io::{BufRead, Error, ErrorKind, Read, Result, Write};
use zeroize::Zeroizing;

/// The plain bytes of a chunk; the last one may have fewer.
const CHUNK: usize = 64 * 1024;
/// The tag after each chunk.
const TAG: usize = 16;

/// Seals or opens the chunks of one stream in their order.
struct Chunks {
    key: LessSafeKey,
    about: Box<[u8]>,
    number: u64,
}

impl Chunks {
    fn new(key: &[u8; 32], about: &[u8]) -> Result<Self> {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
        Ok(Self { key: LessSafeKey::new(key), about: about.into(), number: 0 })
    }

    fn nonce(&mut self, is_last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&self.number.to_be_bytes());
        nonce[8] = is_last.into();
        self.number += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, is_last: bool, chunk: &mut Vec<u8>) -> Result<()> {
        let nonce = self.nonce(is_last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::from(&self.about), chunk);
        sealed.map_err(|_| Error::from(ErrorKind::InvalidInput))
    }

    fn open(&mut self, is_last: bool, chunk: &mut Vec<u8>) -> Result<()> {
        let nonce = self.nonce(is_last);
        let opened = self.key.open_in_place(nonce, Aad::from(&self.about), chunk);
        let length = opened.map_err(|_| Error::from(ErrorKind::InvalidData))?.len();
        chunk.truncate(length);
        Ok(())
    }
}

/// Seals what is written to it. [`SealedWriter::finish`] writes the end.
pub(super) struct SealedWriter<W> {
    to: W,
    chunks: Chunks,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealedWriter<W> {
    /// `key` is used for no other stream. Whoever opens the stream needs the same `about`.
    pub(super) fn new(to: W, key: &[u8; 32], about: &[u8]) -> Result<Self> {
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Ok(Self { to, chunks: Chunks::new(key, about)?, chunk })
    }

    fn put(&mut self, is_last: bool) -> Result<()> {
        self.chunks.seal(is_last, &mut self.chunk)?;
        self.to.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk, and returns what was written to.
    pub(super) fn finish(mut self) -> Result<W> {
        self.put(true)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        // The last chunk is known as such only when there is no more.
        if self.chunk.len() == CHUNK {
            self.put(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Opens a stream. A chunk is returned only after it was verified; [`ErrorKind::InvalidData`] is one that was changed, or a stream that
/// is incomplete.
pub(super) struct SealedReader<R> {
    from: R,
    chunks: Chunks,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
    is_last: bool,
}

impl<R: BufRead> SealedReader<R> {
    pub(super) fn new(from: R, key: &[u8; 32], about: &[u8]) -> Result<Self> {
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Ok(Self { from, chunks: Chunks::new(key, about)?, chunk, at: 0, is_last: false })
    }

    fn next_chunk(&mut self) -> Result<()> {
        self.chunk.clear();
        (&mut self.from).take((CHUNK + TAG) as u64).read_to_end(&mut self.chunk)?;
        self.is_last = self.from.fill_buf()?.is_empty();
        self.at = 0;
        let opened = self.chunks.open(self.is_last, &mut self.chunk);
        if opened.is_err() {
            // What was not verified is returned to no caller.
            self.chunk.clear();
        }
        opened
    }
}

impl<R: BufRead> BufRead for SealedReader<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        while self.at == self.chunk.len() && !self.is_last {
            self.next_chunk()?;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.chunk.len().min(self.at + amount);
    }
}

impl<R: BufRead> Read for SealedReader<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let mut ready = self.fill_buf()?;
        let length = ready.read(to)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::new(Vec::new(), &[7; 32], b"about").unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap()
    }

    fn opened(sealed: &[u8], key: u8, about: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        let mut reader = SealedReader::new(sealed, &[key; 32], about).unwrap();
        match reader.read_to_end(&mut plain) {
            Ok(_) => Some(plain),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                None
            }
        }
    }

    #[test]
    fn se_03_a_stream_opens_as_a_whole_with_its_key_and_as_it_was_written() {
        let plain: Vec<u8> = (0..3 * CHUNK + 5).map(|n| (n / 7) as u8).collect();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, plain.len()] {
            let stream = sealed(&plain[..length]);
            assert_eq!(opened(&stream, 7, b"about").as_deref(), Some(&plain[..length]), "{length}");
            assert!(opened(&stream, 8, b"about").is_none() && opened(&stream, 7, b"other").is_none());
            assert!(opened(&stream[..stream.len() - 1], 7, b"about").is_none(), "{length}");
            assert!(opened(&[&stream[..], b"x"].concat(), 7, b"about").is_none(), "{length}");
        }
        let stream = sealed(&plain);
        let sealed_chunk = CHUNK + TAG;
        for at in (0..stream.len()).step_by(4099) {
            let mut changed = stream.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, 7, b"about").is_none(), "{at}");
        }
        // Whole chunks at the end, in the middle or twice.
        assert!(opened(&stream[..2 * sealed_chunk], 7, b"about").is_none());
        assert!(
            opened(&[&stream[..sealed_chunk], &stream[2 * sealed_chunk..]].concat(), 7, b"about").is_none()
        );
        assert!(opened(&[&stream[..sealed_chunk], &stream].concat(), 7, b"about").is_none());
    }
}
