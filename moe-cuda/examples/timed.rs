//! Times steps of Llama 4 Scout's shape, for whoever changes the kernels: `timed 1 8 overlaps=0 1` is three rows, each with what
//! was set before it. `kv=q8_0`, for all rows, keeps keys and values in eight bits. `MOE_NVRTC_OPTIONS` goes to the compiler.

use moe_cuda::{Error, decode::Options, driver::Gpu, kv::KvType, random, table};

fn main() -> Result<(), Error> {
    let recipe = random::scout();
    let group = recipe.shape.heads / recipe.shape.kv_heads;
    let is_q8 = std::env::args().any(|argument| argument == "kv=q8_0");
    let kv_type = if is_q8 { KvType::Q8_0 } else { KvType::F16 };
    let gpu = Gpu::open(0, recipe.shape.head_dim, group, kv_type)?;
    let model = random::model(&gpu, &recipe, 1)?;
    gpu.wait()?;
    let (mut overlaps, mut prefetches, mut whole_from, mut context) = (true, false, None, 2048);
    for argument in std::env::args().skip(1) {
        if let Some((name, value)) = argument.split_once('=') {
            match name {
                "overlaps" => overlaps = value != "0",
                "prefetch" => prefetches = value != "0",
                "whole" => whole_from = value.parse().ok(),
                "context" => context = value.parse().unwrap_or(context),
                "kv" => {}
                _ => println!("{name}: overlaps, prefetch, whole, context or kv"),
            }
            continue;
        }
        let Ok(sequences) = argument.parse::<usize>() else { continue };
        let mut options = Options::new(sequences.next_power_of_two(), context);
        options.overlaps = overlaps;
        options.prefetches = prefetches;
        options.whole_from = whole_from.unwrap_or(options.whole_from);
        let t = table::time(&gpu, &model, options, sequences, 15)?;
        let [median, least, most] = t.step_ms;
        print!(
            "{sequences:2} context {context} overlaps {overlaps} prefetch {prefetches} whole {} | {median:.3} ms ({least:.3}..{most:.3}; queued {:.3}) ",
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
