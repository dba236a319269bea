//! Ids that sort by time: 48 bits of milliseconds, 80 random bits, in Crockford's base 32 (the ULID layout).

/// 26 characters of `[0-9a-hjkmnp-tv-z]`. `random` comes from the platform.
#[must_use]
pub fn make(now_ms: u64, random: [u8; 10]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let low = random.iter().fold(0u128, |value, &byte| value << 8 | u128::from(byte));
    let value = u128::from(now_ms & 0xffff_ffff_ffff) << 80 | low;
    (0..26u32).rev().map(|index| char::from(DIGITS[(value >> (index * 5) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_request_ids() {
        let ids: Vec<_> = [0, 1, 1_700_000_000_000, 0xffff_ffff_ffff].map(|ms| make(ms, [7; 10])).into();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == 26 && moegate_wire::ticket::is_request_id(id)));
        assert_eq!(make(0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 33]), "00000000000000000000000011");
    }

    #[test]
    fn each_random_bit_counts() {
        let base = make(5, [0; 10]);
        for bit in 0..80 {
            let mut random = [0; 10];
            random[bit / 8] = 1 << (bit % 8);
            assert_ne!(make(5, random), base);
        }
    }
}
