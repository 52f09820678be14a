//! End-to-end tests, demo, and load generation.
