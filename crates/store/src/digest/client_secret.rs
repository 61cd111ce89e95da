//! Generates client secrets, and checks those that an operator chose: RFC 6749 §2.3.1 and Appendix A.2.

use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::SecureRandom;
use tokenberg_core::Secret;
use tokenberg_core::registration::LONGEST_CLIENT_SECRET;

/// The prefix of generated secrets, so that a scanner finds a leaked one.
const PREFIX: &str = "tkb";
/// 43 characters out of 62 are 256.03 bits.
const RANDOM: usize = 43;
const CHECKSUM: usize = 6;
const GENERATED: usize = PREFIX.len() + RANDOM + CHECKSUM;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// From this length on, a text that begins like a generated secret is taken for a damaged one, not for a chosen one.
const SHORTEST_PART: usize = 24;
/// A shorter chosen secret counts as weak.
const SHORT: usize = 12;

/// Where the secret of a client comes from.
#[derive(Clone, Debug)]
pub enum NewSecret {
    /// Tokenberg generates 256 random bits in 52 characters of `[A-Za-z0-9]`, which no client's encoding changes.
    Generate,
    /// The operator chooses 1 to 1024 printable ASCII characters.
    Chosen(Secret),
}

/// Whether a secret can be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStrength {
    /// Generated, or chosen and not short.
    Strong,
    /// Chosen, and shorter than 12 characters: the operator should be warned.
    Weak,
}

/// Why a text cannot be a client's secret. Contains nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// No characters.
    #[error("the secret is empty")]
    Empty,
    /// More than 1024 bytes.
    #[error("the secret is longer than {LONGEST_CLIENT_SECRET} bytes")]
    TooLong,
    /// A character that is not printable ASCII.
    #[error("the secret may hold only printable ASCII characters (RFC 6749, appendix A.2)")]
    Character,
}

/// What is wrong with a copy of a generated secret. Contains nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopiedSecretFault {
    /// The checksum does not fit.
    #[error(
        "is not a whole generated secret: its checksum is wrong, so characters are missing, added or changed"
    )]
    Checksum,
    /// More than the secret.
    #[error("contains a generated secret and more, such as a client ID, quotation marks or a line end")]
    Surrounded,
}

// client-secret = *VSCHAR      VSCHAR = %x20-7E
// The grammar allows an empty one, which would authenticate nothing.
pub(crate) fn check(secret: &Secret) -> Result<SecretStrength, SecretFault> {
    let text = secret.expose();
    if text.is_empty() {
        Err(SecretFault::Empty)
    } else if text.len() > LONGEST_CLIENT_SECRET {
        Err(SecretFault::TooLong)
    } else if !text.bytes().all(|b| matches!(b, 0x20..=0x7E)) {
        Err(SecretFault::Character)
    } else {
        Ok(if text.len() < SHORT { SecretStrength::Weak } else { SecretStrength::Strong })
    }
}

/// Generates a secret: `tkb`, 43 random characters, and a checksum of 6.
pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Secret, Unspecified> {
    // The whole capacity at once, so that no copy of a part stays in memory.
    let mut text = String::with_capacity(GENERATED);
    text.push_str(PREFIX);
    while text.len() < PREFIX.len() + RANDOM {
        let mut byte = [0_u8];
        random.fill(&mut byte)?;
        // 248 is 4 * 62; greater values would favor the first characters.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % 62]));
        }
    }
    text.extend(checksum(&text).map(char::from));
    Ok(Secret::new(text))
}

/// Whether the text has the form of a generated secret. Depends on the text only, not on the client.
pub(crate) fn is_generated(text: &str) -> bool {
    text.len() == GENERATED
        && text.starts_with(PREFIX)
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && checksum(&text[..GENERATED - CHECKSUM]) == text.as_bytes()[GENERATED - CHECKSUM..]
}

/// What is wrong with a secret that was copied: a generated secret that lacks a part, or that has something around it. `None` if it
/// is whole, or was not generated. A client can check this before it sends the secret.
#[must_use]
pub fn copy_fault(secret: &Secret) -> Option<CopiedSecretFault> {
    let text = secret.expose();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with(PREFIX));
    if words.clone().any(is_generated) {
        return (!is_generated(text)).then_some(CopiedSecretFault::Surrounded);
    }
    words.any(|word| word.len() >= SHORTEST_PART).then_some(CopiedSecretFault::Checksum)
}

fn checksum(text: &str) -> [u8; CHECKSUM] {
    let hash = digest(&SHA256, text.as_bytes());
    let mut number = hash.as_ref().iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    std::array::from_fn(|_| {
        let character = ALPHABET[(number % 62) as usize];
        number /= 62;
        character
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use std::collections::HashSet;

    #[test]
    fn se_08_generated_secrets_are_256_random_bits_of_plain_characters() {
        let random = SystemRandom::new();
        let mut seen = HashSet::new();
        let mut counts = [0_u32; 128];
        for _ in 0..2000 {
            let secret = generate(&random).unwrap();
            let text = secret.expose();
            assert_eq!(text.len(), 52);
            assert!(is_generated(text));
            assert_eq!(check(&secret), Ok(SecretStrength::Strong));
            text.bytes().skip(3).take(43).for_each(|b| counts[usize::from(b)] += 1);
            assert!(seen.insert(text.to_owned()));
        }
        // 86,000 characters in 62 kinds are 1387 of each; 200 is more than five standard deviations.
        for kind in ALPHABET {
            assert!(counts[usize::from(*kind)].abs_diff(1387) < 200, "{}", char::from(*kind));
        }
    }

    #[test]
    fn a_changed_secret_no_longer_looks_generated() {
        let secret = generate(&SystemRandom::new()).unwrap();
        let text = secret.expose();
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            assert!(!is_generated(std::str::from_utf8(&bytes).unwrap()), "{at}");
        }
        for other in ["", "tkb", &text[1..], &format!("{text}x"), &"é".repeat(26)] {
            assert!(!is_generated(other));
        }
    }

    #[test]
    fn a_damaged_copy_of_a_generated_secret_is_recognized() {
        let secret = generate(&SystemRandom::new()).unwrap();
        let (whole, of) = (secret.expose(), |text: &str| copy_fault(&Secret::new(text.to_owned())));
        assert_eq!(of(whole), None);
        for damaged in [&whole[..51], &whole[..24], &format!("{whole}x")] {
            assert_eq!(of(damaged), Some(CopiedSecretFault::Checksum));
        }
        for around in
            [format!("spark:{whole}"), format!("\"{whole}\""), format!("{whole}\n"), format!(" {whole}")]
        {
            assert_eq!(of(&around), Some(CopiedSecretFault::Surrounded));
        }
        for chosen in ["", "tkb", "tkb-of-our-own-0123456789", "s1-Z7-long-enough-0123456789"] {
            assert_eq!(of(chosen), None, "{chosen}");
        }
    }

    #[test]
    fn ca_22_a_secret_is_1_to_1024_printable_characters() {
        let of = |text: &str| check(&Secret::new(text.to_owned()));
        assert_eq!(of(""), Err(SecretFault::Empty));
        assert_eq!(of(&"x".repeat(1025)), Err(SecretFault::TooLong));
        assert_eq!(of(&"x".repeat(1024)), Ok(SecretStrength::Strong));
        assert_eq!(of("s1-Z7"), Ok(SecretStrength::Weak));
        assert_eq!(of("correct horse"), Ok(SecretStrength::Strong));
        for bad in ["a\0b", "a\n", "é", "\u{7f}"] {
            assert_eq!(of(bad), Err(SecretFault::Character));
        }
    }
}
