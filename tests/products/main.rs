//! The five reference products: each lives through its help page, sentence by sentence, on a test clock.

#[path = "../support/mod.rs"]
mod support;

mod calendar;
mod calendar_story;
mod cloud_assistant;
mod code_playground;
mod image_suite;
mod story;
mod video_studio;
mod website_builder;
