//! Good files with damage where it hurts: lengths, counts, sizes, types, offsets. Whatever reads them gives a value or an
//! error, soon and in little memory. `moe-server/fuzz` looks further.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod hostile;

use std::{ops::Range, process::Command, sync::Arc};

use hostile::{
    seeds,
    walk::{Reached, walk},
};

use moe_server::model::{Tokenizer, decoder::Model, gguf::Gguf};

/// Damaged files of each seed. A tokenizer takes milliseconds to make.
const ROUNDS: [(&str, u64); 4] =
    [("values", 10_000), ("llama4", 10_000), ("qwen3moe", 10_000), ("tokenizer", 150)];
/// Address space, in KiB, that all of it must do with.
const MEMORY: usize = 1 << 20;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

/// Where a good file's numbers are: everything of the header but the letters of strings.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    found: Vec<Range<usize>>,
}

impl Fields<'_> {
    fn of(bytes: &[u8]) -> Vec<Range<usize>> {
        let mut fields = Fields { bytes, at: 4, found: Vec::new() };
        fields.number(4);
        let (tensors, keys) = (fields.number(8), fields.number(8));
        for _ in 0..keys {
            fields.string();
            let id = fields.number(4);
            fields.value(id);
        }
        for _ in 0..tensors {
            fields.string();
            for _ in 0..fields.number(4) {
                fields.number(8);
            }
            fields.number(4);
            fields.number(8);
        }
        fields.found
    }

    fn number(&mut self, width: usize) -> u64 {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(&self.bytes[self.at..self.at + width]);
        self.found.push(self.at..self.at + width);
        self.at += width;
        u64::from_le_bytes(wide)
    }

    fn string(&mut self) {
        self.at += usize::try_from(self.number(8)).unwrap();
    }

    fn value(&mut self, id: u64) {
        match id {
            0 | 1 | 7 => drop(self.number(1)),
            2 | 3 => drop(self.number(2)),
            4..=6 => drop(self.number(4)),
            8 => self.string(),
            9 => {
                let (id, count) = (self.number(4), self.number(8));
                (0..count).for_each(|_| self.value(id));
            }
            _ => drop(self.number(8)),
        }
    }
}

/// One of the numbers becomes another.
fn change_a_number(bytes: &mut [u8], fields: &[Range<usize>], random: &mut Random) {
    let field = fields[random.below(fields.len())].clone();
    let Some(old) = bytes.get(field.clone()) else { return };
    let mut wide = [0; 8];
    wide[..old.len()].copy_from_slice(old);
    let old = u64::from_le_bytes(wide);
    let other = fields[random.below(fields.len())].clone();
    let copied =
        bytes.get(other).map_or(0, |bytes| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)));
    let new = [
        0,
        1,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        old.wrapping_mul(2),
        old ^ 1 << random.below(64),
        copied,
        u64::MAX >> random.below(64),
        1 << random.below(64),
        (1_u64 << random.below(64)).wrapping_neg(),
        random.next() % 64,
        bytes.len() as u64,
    ][random.below(12)];
    bytes[field.clone()].copy_from_slice(&new.to_le_bytes()[..field.len()]);
}

fn damaged(good: &[u8], fields: &[Range<usize>], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let header = fields.last().unwrap().end;
    for _ in 0..=random.below(4) / 2 {
        match random.below(10) {
            0 => bytes[random.below(header)] ^= 1 << random.below(8),
            1 => {
                let (from, to) = (random.below(header), random.below(header));
                let length = random.below(32).min(header - from.max(to));
                bytes.copy_within(from..from + length, to);
            }
            _ => change_a_number(&mut bytes, fields, random),
        }
    }
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

#[test]
fn the_seeds_are_good() {
    let reached = |model, tokenizer, template| Reached { opened: true, model, tokenizer, template };
    let found: Vec<_> = seeds::all().into_iter().map(|(name, bytes)| (name, walk(&bytes))).collect();
    let expected = [
        ("values", reached(false, false, false)),
        ("llama4", reached(true, false, true)),
        ("qwen3moe", reached(true, false, true)),
        ("tokenizer", reached(false, true, true)),
    ];
    assert_eq!(found, expected);
}

/// Tells the process that its memory is limited.
const LIMITED: &str = "MOE_SERVER_TEST_LIMITED";

/// Whether this is a process that may take little memory, so that asking for much aborts it. If not, and where the
/// system has such limits, runs the test `name` in one.
fn is_limited(name: &str) -> bool {
    if std::env::var_os(LIMITED).is_some() || !cfg!(target_os = "linux") {
        return true;
    }
    let command = format!("ulimit -v {MEMORY} && exec \"$0\" --exact {name} --nocapture");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).arg(std::env::current_exe().unwrap()).env(LIMITED, "1");
    let output = shell.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    print!("{said}");
    false
}

#[test]
fn damage_is_survived() {
    if !is_limited("damage_is_survived") {
        return;
    }
    for (name, rounds) in ROUNDS {
        let good = seeds::all().into_iter().find(|seed| seed.0 == name).unwrap().1;
        let fields = Fields::of(&good);
        let (mut opened, mut used) = (0, 0);
        for seed in 0..rounds {
            let reached = std::panic::catch_unwind(|| walk(&damaged(&good, &fields, &mut Random(seed))));
            let reached = reached.unwrap_or_else(|_| panic!("{name}, seed {seed}"));
            opened += u64::from(reached.opened);
            used += u64::from(reached.model || reached.tokenizer);
        }
        // Every way must really be taken, or the test sees nothing.
        println!("{name}: {rounds} files, {opened} opened, {used} made a model or a tokenizer");
        assert!(opened > rounds / 50 && opened < rounds, "{name}: {opened} of {rounds} opened");
        assert!(used > rounds / 200 || name == "values", "{name}: {used} of {rounds} used");
    }
}

/// Small files that describe large things.
#[test]
fn claims_take_no_memory() {
    if !is_limited("claims_take_no_memory") {
        return;
    }
    // A tensor of a type that nobody knows may have any shape and no bytes.
    let mut rope = seeds::model("llama4", |name| match name {
        "attention.key_length" | "attention.value_length" | "rope.dimension_count" => Some(u32::MAX - 1),
        _ => None,
    });
    let at = rope.windows(10).position(|bytes| bytes == b"rope_freqs").unwrap() + "rope_freqs.weight".len();
    rope[at + 4..at + 12].copy_from_slice(&u64::from(u32::MAX / 2).to_le_bytes());
    rope[at + 12..at + 16].copy_from_slice(&77_u32.to_le_bytes());
    let gguf = Arc::new(Gguf::from_bytes(rope).unwrap());
    let error = Model::from_gguf(&gguf, 1).unwrap_err().to_string();
    assert!(error.contains("unknown type 77 where F32 is wanted"), "{error}");

    // Wherever a text has its first byte, a special token is looked for to its end.
    let long: String = ('!'..='\u{7ff}').cycle().take(2 << 20).collect();
    let length = long.len();
    let gguf = Gguf::from_bytes(seeds::tokenizer(&[&long])).unwrap();
    let error = Tokenizer::from_gguf(&gguf).unwrap_err().to_string();
    assert!(error.contains(&format!("token 261 is special and {length} bytes long")), "{error}");
}
