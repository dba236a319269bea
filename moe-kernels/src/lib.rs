//! The arithmetic of MoE inference.
