//! Times steps of Llama 4 Scout's shape under different layouts, for whoever changes the kernels.
//!
//! `cargo run --release -p moe-cuda --example timed -- SEQUENCES [ring=N] [spread=N] [capacity=N] [layers=N] ...`; each
//! argument without `=` is one row with what was set before it. `MOE_NVRTC_OPTIONS` goes to the compiler.

use moe_cuda::{Error, decode::Options, driver::Gpu, random, table};

fn main() -> Result<(), Error> {
    let recipe = random::scout();
    let gpu = Gpu::open(0, recipe.shape.head_dim, recipe.shape.heads / recipe.shape.kv_heads)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let found = arguments.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        found.unwrap_or(0_usize)
    };
    let mut recipe = recipe;
    if number("layers") > 0 {
        recipe.layers = number("layers");
    }
    let model = random::model(&gpu, &recipe, 1)?;
    gpu.wait()?;
    let context = if number("context") > 0 { number("context") } else { 2048 };
    let (mut ring, mut spread, mut capacity) = (None, None, None);
    for argument in &arguments {
        if let Some((name, value)) = argument.split_once('=') {
            let value = value.parse::<usize>().ok().filter(|value| *value > 0);
            match name {
                "ring" => ring = value.map(|value| value as u32),
                "spread" => spread = value,
                "capacity" => capacity = value,
                _ => {}
            }
            continue;
        }
        let Ok(sequences) = argument.parse::<usize>() else { continue };
        let mut options = Options::new(capacity.unwrap_or(sequences.next_power_of_two()), context);
        options.ring = ring.unwrap_or(options.ring);
        options.spread_from = spread.unwrap_or(options.spread_from);
        match table::time(&gpu, &model, options, sequences, 9) {
            Ok(t) => {
                let [median, least, most] = t.step_ms;
                print!(
                    "{sequences:2} ring {:2} spread {} | {median:.3} ms ({least:.3}..{most:.3}; queued {:.3}) {:.1} tok/s {:.0} GB/s |",
                    options.ring, options.spread_from, t.queued_ms, t.tokens_per_second, t.gigabytes_per_second
                );
                for s in &t.stages {
                    print!(" {} {:.1} ({:.1} {:.1}) {:.0};", s.name, s.microseconds, s.before, s.barrier, s.gigabytes_per_second);
                }
                println!();
            }
            Err(error) => println!("{sequences}: {error}"),
        }
    }
    Ok(())
}
