//! Checks that an RSA key is strong enough, and cheap enough to verify with: RFC 7518 §3.3, RFC 8725 §3.5, conformance JW-23 and
//! AB-10.

use crate::unfit_key::UnfitKey;

/// Fewer bits are forbidden (RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used").
const FEWEST_BITS: usize = 2048;

/// A larger key would let its publisher make every verification slow.
const MOST_BITS: usize = 4096;

/// Checks modulus and exponent, both big-endian.
pub(crate) fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), UnfitKey> {
    // RFC 7518 §6.3.1.1 with §2: "The octet sequence MUST utilize the minimum number of octets needed to represent the value."
    let (Some(&top), Some(&low)) = (modulus.first(), modulus.last()) else { return Err(UnfitKey::Malformed) };
    if top == 0 || exponent.first().is_none_or(|&b| b == 0) {
        return Err(UnfitKey::Malformed);
    }
    let bits = modulus.len().saturating_mul(8) - top.leading_zeros() as usize;
    if !(FEWEST_BITS..=MOST_BITS).contains(&bits) {
        return Err(UnfitKey::RsaSize);
    }
    // Odd, at least 3 and under 2^32: 1 would make every message its own signature, and an even one has no inverse.
    if exponent.len() > 4 || exponent == [1] || exponent.last().is_none_or(|e| e % 2 == 0) {
        return Err(UnfitKey::RsaExponent);
    }
    if low.is_multiple_of(2) || is_of_infineon(modulus) {
        return Err(UnfitKey::RsaModulus);
    }
    Ok(())
}

/// Whether the modulus has the mark of keys that can be factored: CVE-2017-15361, "ROCA".
///
/// Their primes are powers of 65537 modulo a product of small primes, so the modulus is one modulo each. About one good key in
/// 100 million has the mark by chance.
fn is_of_infineon(modulus: &[u8]) -> bool {
    const SMALL_PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
        103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    SMALL_PRIMES.into_iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| {
            let next = power * 65537 % prime;
            (next != 1).then_some(next)
        });
        powers.take(167).any(|power| power == rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(bits: usize) -> Vec<u8> {
        let mut bytes = vec![0xa5; bits.div_ceil(8)];
        bytes[0] = 0x80 >> ((8 - bits % 8) % 8);
        bytes
    }

    #[test]
    fn jw_23_ab_10_size_and_exponent_have_bounds() {
        for (bits, good) in
            [(512, false), (1024, false), (2047, false), (2048, true), (4096, true), (4097, false)]
        {
            let expected = if good { Ok(()) } else { Err(UnfitKey::RsaSize) };
            assert_eq!(check(&modulus(bits), &[1, 0, 1]), expected, "{bits}");
        }
        assert_eq!(check(&modulus(16384), &[1, 0, 1]), Err(UnfitKey::RsaSize));
        for good in [&[3][..], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(check(&modulus(2048), good), Ok(()), "{good:?}");
        }
        for bad in [&[1][..], &[2], &[4], &[1, 0, 0], &[1, 0, 0, 0, 0], &[1, 0, 0, 0, 1]] {
            assert_eq!(check(&modulus(2048), bad), Err(UnfitKey::RsaExponent), "{bad:?}");
        }
        let mut even = modulus(2048);
        even[255] = 2;
        assert_eq!(check(&even, &[3]), Err(UnfitKey::RsaModulus));
        for (n, e) in [(vec![], vec![3]), (modulus(2048), vec![]), (modulus(2048), vec![0, 3])] {
            assert_eq!(check(&n, &e), Err(UnfitKey::Malformed));
        }
        assert_eq!(check(&[&[0][..], &modulus(2048)].concat(), &[3]), Err(UnfitKey::Malformed));
    }
    #[test]
    fn jw_23_a_modulus_of_the_weak_generator_is_recognized() {
        // 65537 to the power of 128: 2049 bits, and a power of 65537 modulo every prime.
        let mut power = vec![1_u8];
        for _ in 0..128 {
            let mut carry = 0;
            let shifted = [0, 0].iter().chain(&power);
            let mut next: Vec<u8> = Vec::new();
            for (high, low) in shifted.zip(power.iter().chain(&[0, 0])) {
                let sum = u16::from(*high) + u16::from(*low) + carry;
                next.push((sum & 0xff) as u8);
                carry = sum >> 8;
            }
            power = next;
            while power.last() == Some(&0) {
                power.pop();
            }
        }
        power.reverse();
        assert_eq!(power.len(), 257);
        assert_eq!(check(&power, &[1, 0, 1]), Err(UnfitKey::RsaModulus));
    }
}
