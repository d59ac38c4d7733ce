//! Damage for tests: what a disk, a network or an enemy may do to a file, the same for the same seed.

/// Some bytes changed, cut out or put in.
pub fn damaged(content: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // Xorshift: no more is asked of it than to differ.
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap_or(0)
    };
    let mut content = content.to_vec();
    for _ in 0..=random(8) {
        // Heads are where the lengths and kinds are.
        let reach = if random(2) == 0 { 512 } else { content.len() };
        let at = random(reach.min(content.len()));
        match random(4) {
            0 if !content.is_empty() => content[at] = u8::try_from(random(256)).unwrap_or(0),
            1 if !content.is_empty() => content[at] ^= 1 << random(8),
            2 => content.truncate(at),
            _ => content.insert(at, u8::try_from(random(256)).unwrap_or(0)),
        }
    }
    content
}
