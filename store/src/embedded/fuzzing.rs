//! What fuzz targets reach of the blocks.

use super::{block, seen};

/// Reads bytes as each kind of block. Where that goes well, what was read is written and read again.
pub fn blocks(bytes: &[u8]) {
    let _ = seen::decode(bytes);
    let _ = block::visit_raw(bytes, |_, _, _| {});
    if let Ok((numbers, counts)) = tier(bytes) {
        let mut again = Vec::new();
        block::encode_tier(&mut again, &numbers, &counts);
        assert_eq!(tier(&again).ok(), Some((numbers, counts)), "what was read can be written");
    }
}

fn tier(bytes: &[u8]) -> crate::Result<(Vec<u32>, Vec<u64>)> {
    let (mut numbers, mut counts) = (Vec::new(), Vec::new());
    block::visit_tier(bytes, |number, count| {
        numbers.push(number);
        counts.push(count);
    })?;
    Ok((numbers, counts))
}
