//! Times steps of Llama 4 Scout's shape, for whoever changes the kernels: `timed 1 8 overlaps=0 1` is three rows, each with what
//! was set before it. `MOE_NVRTC_OPTIONS` goes to the compiler.

use moe_cuda::{Error, decode::Options, driver::Gpu, random, table};

fn main() -> Result<(), Error> {
    let recipe = random::scout();
    let gpu = Gpu::open(0, recipe.shape.head_dim, recipe.shape.heads / recipe.shape.kv_heads)?;
    let model = random::model(&gpu, &recipe, 1)?;
    gpu.wait()?;
    let (mut overlaps, mut prefetches, mut whole_from) = (true, false, None);
    for argument in std::env::args().skip(1) {
        if let Some((name, value)) = argument.split_once('=') {
            match name {
                "overlaps" => overlaps = value != "0",
                "prefetch" => prefetches = value != "0",
                "whole" => whole_from = value.parse().ok(),
                _ => println!("{name}: overlaps, prefetch or whole"),
            }
            continue;
        }
        let Ok(sequences) = argument.parse::<usize>() else { continue };
        let mut options = Options::new(sequences.next_power_of_two(), 2048);
        options.overlaps = overlaps;
        options.prefetches = prefetches;
        options.whole_from = whole_from.unwrap_or(options.whole_from);
        let t = table::time(&gpu, &model, options, sequences, 15)?;
        let [median, least, most] = t.step_ms;
        print!(
            "{sequences:2} overlaps {overlaps} prefetch {prefetches} whole {} | {median:.3} ms ({least:.3}..{most:.3}; queued {:.3}) ",
            options.whole_from, t.queued_ms
        );
        print!("{:.1} tok/s {:.0} GB/s |", t.tokens_per_second, t.gigabytes_per_second);
        for k in &t.kernels {
            print!(" {} {:.1} us {:.0};", k.name, k.microseconds, k.gigabytes_per_second);
        }
        println!();
    }
    Ok(())
}
