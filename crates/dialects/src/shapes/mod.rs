//! Shapes of callbacks that belong to no dialect here: Waypost's own and Meta's. A vendor's shape
//! stands in the vendor's folder.

pub mod cloud_api;
mod meta_titles;
pub mod standard;
#[cfg(test)]
mod tests;

pub use cloud_api::CloudApiEvents;
pub use standard::StandardEvents;
