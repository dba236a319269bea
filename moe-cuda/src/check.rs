//! Every kernel against moe-kernels: products, what is quantised and sums by their bytes, the rest within a bound.

mod card;
mod experts;
mod kept;
mod layer;
mod prompt;
mod report;
mod routed;
mod single;

pub use card::card;
pub use kept::kept;
pub use layer::{Walk, walk};
pub use prompt::prompts;
pub use report::{Report, Verdict};
pub use routed::routed;
pub use single::{embeddings, products, quantiser};
