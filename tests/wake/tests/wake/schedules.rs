//! Random schedules in virtual time: arrivals in several instances, wakes that fail, take up to 11 minutes, lie about being

//! ready or die, clients that leave, instances that are lost, calls to the ledger that are lost or doubled.
//!
//! `MOEGATE_WAKE_SCHEDULES=10000 cargo test --release -p wake --test schedules` is the long form.
use moegate::platform::fake::{Client, Got, LedgerHazards};
use wake::{Setting, Start, body, post, sized, status, streamed};

const CAP_MS: u64 = 600_000;
/// What an answer takes once its origin is ready, and what a broken call to the ledger costs at most.
const GRACE_MS: u64 = 20_000;

struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    fn start(&mut self) -> Start {
        match self.below(8) {
            0 => Start::After(1_000 + self.below(11 * 60_000)),
            1..=3 => Start::After(1_000 + self.below(120_000)),
            4 => Start::Refused,
            5 => Start::Fails(self.below(60_000)),
            6 => Start::Lies(self.below(20_000), 20_000 + self.below(60_000)),
            _ => Start::Dies(self.below(120_000)),
        }
    }
}

/// What one schedule came to.
#[derive(Default)]
struct Sums {
    served: usize,
    refused: usize,
    timeouts: usize,
    left: usize,
    wakes: usize,
    failed_wakes: usize,
    cost: u64,
}

fn schedule(seed: u64, sums: &mut Sums) {
    let mut random = Random(seed);
    let starts: Vec<_> = (0..1 + random.below(4)).map(|_| random.start()).collect();
    let setting = Setting::new(&starts, "per_hour = 4");
    let disturbed = random.one_in(2);
    let unsure = random.one_in(3);
    if unsure {
        setting.world.ledger_hazards(LedgerHazards {
            passing: random.below(60) as usize,
            failing: random.below(3) as usize,
            answer_lost: random.below(3) as usize,
            doubled: random.below(4) as usize,
            late: random.below(2) as usize,
            ..LedgerHazards::default()
        });
    }
    let mut cancelled = 0;
    for _ in 0..1 + random.below(2) {
        let count = 1 + random.below(8);
        let mut kinds = Vec::new();
        let requests: Vec<_> = (0..count)
            .map(|_| {
                let model = ["hold", "hold", "fallback", "refuse"][random.below(4) as usize];
                let stream = random.one_in(2);
                let text = if stream { streamed(model) } else { body(model) };
                let mut client = Client::new(text.as_bytes().to_vec())
                    .starting_after(random.below(90_000))
                    .in_instance(random.below(3) as usize);
                let mut stays = true;
                if disturbed && random.one_in(4) {
                    client = client.cancelled_after(random.below(200_000));
                    (stays, cancelled) = (false, cancelled + 1);
                }
                kinds.push((model, stream, stays));
                (sized(post(), text.len()), client)
            })
            .collect();
        let got = setting.ask_all(&setting.responder(), requests.into_iter(), seed);
        for ((model, stream, stays), got) in kinds.iter().zip(&got) {
            check(seed, (model, *stream, *stays), unsure, got, sums);
        }
        setting.world.pass_ms(random.below(30 * 60_000));
    }
    setting.world.ledger_hazards(LedgerHazards::default());
    // A leader that was lost, or not heard, before it could say that it has called is followed by another call.
    settle(seed, &setting, cancelled + usize::from(unsure), sums);
}

/// Every request has exactly one end, and in time.
fn check(seed: u64, (model, stream, stays): (&str, bool, bool), unsure: bool, got: &Got, sums: &mut Sums) {
    let text = String::from_utf8_lossy(&got.body);
    let what = || format!("seed {seed}, {model}, stream {stream}: {got:?} {text}");
    if !stays {
        sums.left += 1;
        return;
    }
    assert!(got.is_whole && !got.is_broken_off, "{}", what());
    let end_ms = got.end_ms.unwrap();
    assert!(end_ms <= CAP_MS + GRACE_MS, "{}", what());
    if !stream {
        assert!(end_ms <= 240_000 + GRACE_MS, "{}", what());
    }
    // Where the ledger does not answer, nothing is sent that is not accounted for.
    if model == "fallback" && !(unsure && status(got) == 503) {
        assert_eq!(status(got), 200, "{}", what());
    }
    let done = text.contains("[DONE]");
    let failed = text.contains("\"error\"");
    match status(got) {
        200 if stream => {
            assert!(done != failed, "{}", what());
            if failed && text.contains("wake_timeout") {
                sums.timeouts += 1;
            } else if failed {
                sums.refused += 1;
            } else {
                sums.served += 1;
            }
        }
        200 => sums.served += 1,
        504 => sums.timeouts += 1,
        503 => sums.refused += 1,
        _ => panic!("{}", what()),
    }
}

/// The rows add up: no wake within another, no more than may be, money by time.
fn settle(seed: u64, setting: &Setting, repeated: usize, sums: &mut Sums) {
    setting.world.pass_ms(2 * CAP_MS);
    // Whatever is still under way is over by now.
    setting.read("/origins");
    setting.read("/usage");
    let row = setting.row();
    assert!(row.run.is_none(), "seed {seed}: {row:?}");
    let wakes = setting.wakes();
    assert_eq!(wakes.len() as u64, row.wakes, "seed {seed}: a row for each wake");
    let mut before_ms = 0;
    for (began_ms, ended_ms, cost, reason) in &wakes {
        assert!(*began_ms >= before_ms && ended_ms >= began_ms, "seed {seed}: two wakes at once: {wakes:?}");
        before_ms = *ended_ms;
        assert_eq!(*cost, (ended_ms - began_ms) * 1_000, "seed {seed}");
        sums.failed_wakes += usize::from(!reason.is_empty());
        sums.cost += cost;
        let hour = wakes.iter().filter(|wake| (*began_ms..began_ms + 3_600_000).contains(&wake.0)).count();
        assert!(hour <= 4, "seed {seed}: {wakes:?}");
    }
    sums.wakes += wakes.len();
    let origin = setting.origin.lock().unwrap();
    // So is a wake that was given up at its cap, though the origin goes on.
    let capped = wakes.iter().filter(|(.., reason)| reason.contains("10 minutes")).count();
    assert!(
        origin.doubled <= repeated + capped,
        "seed {seed}: told {} times while it was waking",
        origin.doubled
    );
    let pending = setting.world.ledger_query("SELECT COUNT(*) FROM pending");
    assert_eq!(pending[0][0], moegate::ledger::Value::Integer(0), "seed {seed}: something stays reserved");
}

#[test]
fn random_schedules() {
    let count = std::env::var("MOEGATE_WAKE_SCHEDULES").ok().map_or(150, |text| text.parse().unwrap());
    let mut sums = Sums::default();
    for seed in 0..count {
        schedule(seed, &mut sums);
    }
    println!(
        "{count} schedules: {} served, {} refused, {} timeouts, {} lost; {} wakes, {} failed, {} nano-dollars",
        sums.served, sums.refused, sums.timeouts, sums.left, sums.wakes, sums.failed_wakes, sums.cost
    );
    assert!(sums.served > 0 && sums.refused > 0 && sums.timeouts > 0 && sums.failed_wakes > 0);
}
