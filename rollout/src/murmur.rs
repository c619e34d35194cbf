//! `MurmurHash3` for 32 bits with the seed 0: what flagd's `fractional` assigns by.

const FIRST: u32 = 0xcc9e_2d51;
const SECOND: u32 = 0x1b87_3593;

/// The hash of `bytes`.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    let mut blocks = bytes.chunks_exact(4);
    let mut hash = blocks.by_ref().fold(0_u32, |hash, block| {
        let block = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
        (hash ^ mixed(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let rest = blocks.remainder();
    if !rest.is_empty() {
        let block = rest.iter().rev().fold(0, |block, &byte| block << 8 | u32::from(byte));
        hash ^= mixed(block);
    }
    // The hash is of the length modulo 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "as the function is defined")]
    let length = bytes.len() as u32;
    finished(hash ^ length)
}

const fn mixed(block: u32) -> u32 {
    block.wrapping_mul(FIRST).rotate_left(15).wrapping_mul(SECOND)
}

const fn finished(hash: u32) -> u32 {
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// Values of the reference implementation, for each length of the rest.
    #[test]
    fn it_is_the_hash_that_others_have() {
        let known: [(&[u8], u32); 8] = [
            (b"", 0),
            (b"\0\0\0\0", 0x2362_f9de),
            (b"\0\0\0", 0x85f0_b427),
            (b"\0\0", 0x30f4_c306),
            (b"\0", 0x514e_28b7),
            (b"test", 0xba6b_d213),
            (b"Hello, world!", 0xc036_3e43),
            (b"The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ];
        for (bytes, expected) in known {
            assert_eq!(hash(bytes), expected, "{bytes:?}");
        }
    }

    /// Keys that flagd's conformance suite names because their hashes lie at the edges of the range.
    #[test]
    fn keys_of_flagds_conformance_suite_lie_at_the_edges() {
        let known = ["ejOoVL", "bY9fO-", "SI7p-", "6LvT0", "ceQdGm"].map(|key| hash(key.as_bytes()));
        assert_eq!(known, [0, 1, i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs() + 1, u32::MAX]);
    }
}
