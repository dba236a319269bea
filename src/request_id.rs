//! Ids that sort by time: 48 bits of milliseconds, 80 random bits, in Crockford's base 32 (the ULID layout).

/// 26 characters of `[0-9a-hjkmnp-tv-z]`. `random` comes from the platform.
#[must_use]
pub fn make(now_ms: u64, random: [u8; 10]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let low = random.iter().fold(0u128, |value, &byte| value << 8 | u128::from(byte));
    let value = u128::from(now_ms & 0xffff_ffff_ffff) << 80 | low;
    (0..26u32).rev().map(|index| char::from(DIGITS[(value >> (index * 5) & 31) as usize])).collect()
}

/// Where the mark stands: the first 15 of the random bits.
const MARK: std::ops::Range<usize> = 10..13;

/// Puts a mark of the tenant into an id, so that its account is found by the id alone. 65 random bits are left.
pub fn mark(id: &mut String, tenant: &str) {
    id.replace_range(MARK, &mark_of(tenant));
}

/// Whether an id has this tenant's mark. Another one in 32,768 has the same.
#[must_use]
pub fn has_mark(id: &str, tenant: &str) -> bool {
    id.get(MARK) == Some(&mark_of(tenant))
}

/// FNV-1a (Fowler, Noll, Vo), folded to 15 bits.
fn mark_of(tenant: &str) -> String {
    let hash =
        tenant.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [high, low] = (((hash ^ hash >> 15 ^ hash >> 30) & 0x7fff) as u16).to_be_bytes();
    make(0, [0, 0, 0, 0, 0, 0, 0, 0, high, low])[23..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_the_tenant() {
        let mut id = make(1_700_000_000_000, [0xff; 10]);
        let before = id.clone();
        mark(&mut id, "acme");
        assert!(has_mark(&id, "acme") && !has_mark(&id, "other") && !has_mark("short", "acme"));
        assert_eq!((&id[..10], &id[13..], id.len()), (&before[..10], &before[13..], 26));
        let marks: std::collections::BTreeSet<_> = (0..200).map(|n| mark_of(&format!("t{n}"))).collect();
        assert!(marks.len() > 190, "{}", marks.len());
    }

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
