//! The engine against Hugging Face's model, and against itself.

mod generator;
mod golden;
mod llama4;
mod quantised;
mod reference;
mod schedules;
