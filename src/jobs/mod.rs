//! What is done without anyone asking.

pub mod due_work;
