//! Checks the card; temporary.
use moe_cuda::{Error, check, driver::Gpu, random};
fn main() -> Result<(), Error> {
    let mut recipe = random::scout();
    if let Some(layers) = std::env::args().nth(1) {
        recipe.layers = layers.parse().unwrap_or(48);
    }
    let begun = std::time::Instant::now();
    let gpu = Gpu::open(0, 128, 5)?;
    println!("{} driver {} memory {:?}", gpu.name(), gpu.driver(), gpu.memory()?);

    gpu.prepare()?;
    println!("compiled {:?}", begun.elapsed());
    let model = random::model(&gpu, &recipe, 1)?;
    gpu.wait()?;
    println!("made {:?} memory {:?}", begun.elapsed(), gpu.memory()?);
    let report = check::card(&gpu, &model, 1, |what| println!("{what} {:?}", begun.elapsed()))?;
    for v in &report.verdicts {
        println!("{v}");
    }
    println!("right: {} {:?}", report.is_right(), begun.elapsed());
    Ok(())
}
