//! Bytes as hexadecimal digits, and back.

/// The bytes as lowercase digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Exactly `N` bytes, from digits of either case; `None` if the text is anything else.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != N || !rest.is_empty() {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_decoded_and_other_text_is_refused() {
        assert_eq!(to_hex(&[0, 15, 0xa0, 255]), "000fa0ff");
        for (text, bytes) in [
            ("000fa0ff", Some([0, 15, 0xa0, 255])),
            ("000FA0fF", Some([0, 15, 0xa0, 255])),
            ("000fa0f", None),
            ("000fa0ff0", None),
            ("000fa0fg", None),
            ("000fa0é", None),
            ("", None),
        ] {
            assert_eq!(from_hex(text), bytes, "{text}");
        }
    }
}
