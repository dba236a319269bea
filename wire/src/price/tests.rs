use super::*;

/// Every class has a price of its own, in nano-dollars for one token.
fn rates() -> Rates {
    let million = 1_000_000;
    Rates {
        input: 100 * million,
        cached_input: 10 * million,
        cache_write: 125 * million,
        cache_write_1h: 200 * million,
        audio_input: 700 * million,
        output: 400 * million,
        reasoning: 500 * million,
        audio_output: 900 * million,
        image: 4_000,
        request: 0,
    }
}

const ONE: Usage = Usage {
    prompt: 1,
    cached: 0,
    cache_write: 0,
    cache_write_1h: 0,
    audio_prompt: 0,
    completion: 0,
    reasoning: 0,
    audio_completion: 0,
    images: 0,
};

/// xorshift64*: the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Of any size, small ones as often as large ones.
    fn any(&mut self) -> u64 {
        let bits = self.next() % 65;
        if bits == 0 { 0 } else { self.next() >> (64 - bits) }
    }

    fn up_to(&mut self, most: u64) -> u64 {
        match self.next() % 4 {
            0 => most,
            1 => 0,
            _ => {
                let number = self.next();
                most.checked_add(1).map_or(number, |end| number % end)
            }
        }
    }

    fn rates(&mut self) -> Rates {
        let numbers: [u64; CLASSES] = std::array::from_fn(|_| self.any());
        numbers.into()
    }

    fn price(&mut self) -> Price {
        let mut steps: Vec<_> =
            (0..self.next() % 3).map(|_| Step { above: self.any(), rates: self.rates() }).collect();
        steps.sort_by_key(|step| step.above);
        Price { rates: self.rates(), steps, gpu_hour: self.any() }
    }

    /// Parts may be larger than their wholes, as origins say it.
    fn usage(&mut self, prompt: u64, completion: u64, images: u64) -> Usage {
        Usage {
            prompt: self.up_to(prompt),
            cached: self.up_to(prompt),
            cache_write: self.up_to(prompt),
            cache_write_1h: self.up_to(prompt),
            audio_prompt: self.up_to(prompt),
            completion: self.up_to(completion),
            reasoning: self.up_to(completion),
            audio_completion: self.up_to(completion),
            images: self.up_to(images),
        }
    }
}

#[test]
fn each_class_has_its_price() {
    let none = Usage::default();
    for (usage, nano) in [
        (none, 0),
        (Usage { prompt: 3, ..none }, 300),
        (Usage { prompt: 3, cached: 1, ..none }, 2 * 100 + 10),
        (Usage { prompt: 3, cached: 3, ..none }, 30),
        (Usage { prompt: 3, cache_write: 2, ..none }, 100 + 2 * 125),
        (Usage { prompt: 3, cache_write: 2, cache_write_1h: 1, ..none }, 100 + 125 + 200),
        (Usage { prompt: 3, audio_prompt: 2, ..none }, 100 + 2 * 700),
        (Usage { completion: 5, ..none }, 2_000),
        (Usage { completion: 5, reasoning: 4, ..none }, 400 + 4 * 500),
        (Usage { completion: 5, audio_completion: 3, ..none }, 2 * 400 + 3 * 900),
        (Usage { images: 2, ..none }, 8_000),
        (
            Usage {
                prompt: 20,
                cached: 4,
                cache_write: 5,
                cache_write_1h: 2,
                audio_prompt: 6,
                completion: 9,
                reasoning: 3,
                audio_completion: 2,
                images: 1,
            },
            5 * 100 + 4 * 10 + 3 * 125 + 2 * 200 + 6 * 700 + 4 * 400 + 3 * 500 + 2 * 900 + 4_000,
        ),
        // Of what was cached nobody says whether it was audio.
        (Usage { prompt: 5, cached: 4, audio_prompt: 5, ..none }, 4 * 10 + 700),
        // Parts that are larger than their whole are the upstream's mistake: never a negative rest.
        (Usage { prompt: 5, cached: 9, cache_write: 9, cache_write_1h: 9, audio_prompt: 9, ..none }, 50),
        (Usage { prompt: 5, cached: 2, cache_write: 9, cache_write_1h: 9, ..none }, 2 * 10 + 3 * 200),
        (Usage { completion: 5, reasoning: 9, audio_completion: 4, ..none }, 500 + 4 * 900),
        (Usage { completion: 5, audio_completion: 9, reasoning: 9, ..none }, 5 * 900),
    ] {
        assert_eq!(Price::from(rates()).cost(&usage, 0), Nanodollars(nano), "{usage:?}");
    }
}

#[test]
fn a_request_and_an_hour_have_prices() {
    let price = Price { rates: Rates { request: 7, ..Rates::default() }, gpu_hour: 3_600, steps: vec![] };
    // A nano-dollar a second.
    for (busy_us, nano) in [(0, 7), (499_999, 7), (500_000, 8), (1_000_000, 8), (3_600_000_000, 3_607)] {
        assert_eq!(price.cost(&ONE, busy_us), Nanodollars(nano), "{busy_us}");
    }
    // Nothing was used: it was refused.
    assert_eq!(price.cost(&Usage::default(), 1_000_000), Nanodollars(1));
    for usage in [Usage { completion: 1, ..Usage::default() }, Usage { images: 1, ..Usage::default() }] {
        assert_eq!(price.cost(&usage, 0), Nanodollars(7), "{usage:?}");
    }
    // 2.49 dollars an hour, a tenth of a second.
    let price = Price { gpu_hour: 2_490_000_000, ..Price::default() };
    assert_eq!(price.cost(&Usage::default(), 100_000), Nanodollars(69_167));
}

#[test]
fn longer_prompts_have_other_prices_for_the_whole_request() {
    let step = |above, input, output| Step { above, rates: Rates::of_tokens(input, output) };
    let million = 1_000_000;
    let price = Price {
        rates: Rates::of_tokens(10 * million, 100 * million),
        steps: vec![step(200, 20 * million, 150 * million), step(1_000, 40 * million, 300 * million)],
        gpu_hour: 0,
    };
    for (prompt, nano) in [
        (0, 100),
        (200, 200 * 10 + 100),
        (201, 201 * 20 + 150),
        (1_000, 1_000 * 20 + 150),
        (1_001, 1_001 * 40 + 300),
    ] {
        let usage = Usage { prompt, completion: 1, ..Usage::default() };
        assert_eq!(price.cost(&usage, 0), Nanodollars(nano), "{prompt}");
    }
    for (prompt, nano) in [(200, 200 * 10 + 200), (201, 201 * 20 + 300), (5_000, 5_000 * 40 + 600)] {
        assert_eq!(price.bound(prompt, 2, 0, 0), Nanodollars(nano), "{prompt}");
    }
}

#[test]
fn the_sum_is_rounded_once_half_up() {
    let price = Price::from(Rates { input: 400_000, output: 100_000, ..Rates::default() });
    let cost = |prompt, completion| price.cost(&Usage { prompt, completion, ..Usage::default() }, 0).0;
    assert_eq!((cost(1, 0), cost(1, 1), cost(0, 1)), (0, 1, 0));
    // Tokens and time are rounded together: 0.4 and 0.1.
    let price = Price { gpu_hour: 3_600, ..price };
    assert_eq!((price.cost(&ONE, 100_000), price.cost(&ONE, 99_999)), (Nanodollars(1), Nanodollars(0)));
}

#[test]
fn nothing_overflows() {
    let most: Rates = [u64::MAX; CLASSES].into();
    let price = Price { rates: most, steps: vec![Step { above: 5, rates: most }], gpu_hour: u64::MAX };
    let usage = Usage { prompt: u64::MAX, completion: u64::MAX, images: u64::MAX, ..Usage::default() };
    assert_eq!(price.cost(&usage, u64::MAX), Nanodollars(u64::MAX));
    assert_eq!(price.bound(u64::MAX, u64::MAX, u64::MAX, u64::MAX), Nanodollars(u64::MAX));
    let mut random = Random(3);
    for _ in 0..20_000 {
        let usage = random.usage(u64::MAX, u64::MAX, u64::MAX);
        let _ = random.price().cost(&usage, random.any());
    }
}

#[test]
fn more_costs_no_less() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let (prompt, completion) = (random.any(), random.any());
        let usage = random.usage(prompt, completion, 1_000);
        // A step may make what is longer cheaper.
        let price = Price { steps: vec![], ..random.price() };
        let (busy_us, cost) = (random.any() >> 1, price.cost(&usage, 0));
        for more in [
            Usage { prompt: usage.prompt.saturating_add(random.any()), ..usage },
            Usage { completion: usage.completion.saturating_add(random.any()), ..usage },
            Usage { images: usage.images + 1, ..usage },
        ] {
            assert!(price.cost(&more, 0) >= cost, "{price:?} {usage:?} {more:?}");
        }
        assert!(price.cost(&usage, busy_us) >= cost);
        let (at, mut dearer) = (random.next() as usize % CLASSES, price.rates.numbers());
        dearer[at] = dearer[at].saturating_add(random.any());
        assert!(Price { rates: dearer.into(), ..price.clone() }.cost(&usage, 0) >= cost, "{price:?} {at}");
    }
}

/// The parts, each rounded by itself, miss the sum by no more than their roundings.
#[test]
fn a_cost_is_the_sum_of_its_classes() {
    let mut random = Random(2);
    for _ in 0..20_000 {
        let usage = random.usage(1 << 24, 1 << 24, 100);
        let rates = random.rates().numbers().map(|rate| rate >> 24);
        let price = Price { gpu_hour: random.any() >> 24, ..Price::from(Rates::from(rates)) };
        let busy_us = random.up_to(1 << 32);
        let mut sum =
            Price { gpu_hour: price.gpu_hour, ..Price::default() }.cost(&Usage::default(), busy_us).0;
        for at in 0..CLASSES {
            let mut only = [0; CLASSES];
            only[at] = rates[at];
            sum += Price::from(Rates::from(only)).cost(&usage, 0).0;
        }
        assert!(price.cost(&usage, busy_us).0.abs_diff(sum) <= 6, "{price:?} {usage:?}");
    }
}

#[test]
fn every_token_has_one_class() {
    let mut random = Random(5);
    for _ in 0..20_000 {
        let (prompt, completion) = (random.any(), random.any());
        let usage = random.usage(prompt, completion, 9);
        let counts = classes(&usage);
        assert_eq!(counts[..FIRST_OF_COMPLETION].iter().sum::<u64>(), usage.prompt, "{usage:?}");
        let of_completion = counts[FIRST_OF_COMPLETION..FIRST_BY_ONE].iter().sum::<u64>();
        assert_eq!(of_completion, usage.completion, "{usage:?}");
    }
}

#[test]
fn nothing_within_the_bounds_costs_more_than_the_bound() {
    let mut random = Random(4);
    for _ in 0..50_000 {
        let price = random.price();
        let (prompt, completion, images) = (random.any(), random.any(), random.any());
        let busy_ms = random.any();
        let usage = random.usage(prompt, completion, images);
        let busy_us = random.up_to(busy_ms.saturating_mul(1000));
        let (cost, bound) = (price.cost(&usage, busy_us), price.bound(prompt, completion, images, busy_ms));
        assert!(cost <= bound, "{price:?} {usage:?} {busy_us}: {cost:?} > {bound:?}");
    }
    // And it is reached.
    let price = Price::from(rates());
    let usage = Usage { prompt: 5, audio_prompt: 5, completion: 3, audio_completion: 3, ..Usage::default() };
    assert_eq!(price.bound(5, 3, 0, 0), price.cost(&usage, 0));
}

#[test]
fn a_price_survives_its_text() {
    let mut random = Random(6);
    for _ in 0..1_000 {
        let price = random.price();
        assert_eq!(Price::from_text(&price.to_text()), Some(price));
    }
    let ones = "0-1-1-1-1-1-1-1-1-1-1";
    assert_eq!(Price::from_text(ones), Some(Price::from(Rates::from([1; CLASSES]))));
    let steps = |count: usize| Price::from_text(&vec![ones; count + 1].join("_"));
    assert!(steps(16).is_some() && steps(17).is_none());
    for text in [
        "",
        "0",
        "0-1-1-1-1-1-1-1-1-1",
        "0-1-1-1-1-1-1-1-1-1-1-1",
        "0-1-1-1-1-1-1-1-1-1-x",
        "0-1-1-1-1-1-1-1-1-1-+1",
        "0-1-1-1-1-1-1-1-1-1-",
        "0-1-1-1-1-1-1-1-1-1-18446744073709551616",
        "0-1-1-1-1-1-1-1-1-1-1_",
        "0-1-1-1-1-1-1-1-1-1-1_5-1-1-1-1-1-1-1-1-1-1_4-1-1-1-1-1-1-1-1-1-1",
    ] {
        assert_eq!(Price::from_text(text), None, "{text}");
    }
}

#[test]
fn a_digest_names_the_numbers() {
    let price = Price::from(rates());
    assert_eq!(price.digest(), price.clone().digest());
    assert!(price.digest().len() == 8 && price.digest().bytes().all(|b| b.is_ascii_hexdigit()));
    for at in 0..CLASSES {
        let mut numbers = rates().numbers();
        numbers[at] += 1;
        assert_ne!(Price::from(Rates::from(numbers)).digest(), price.digest(), "{at}");
    }
    assert_ne!(Price { gpu_hour: 1, ..price.clone() }.digest(), price.digest());
    let stepped = Price { steps: vec![Step { above: 1, rates: rates() }], ..price.clone() };
    assert_ne!(stepped.digest(), price.digest());
}

#[test]
fn dollars_are_exact() {
    for (nano, text) in
        [(0, "0"), (1, "0.000000001"), (123_000, "0.000123"), (2_500_000_000, "2.5"), (10_000_000_000, "10")]
    {
        assert_eq!(Nanodollars(nano).to_dollars(), text);
    }
}
