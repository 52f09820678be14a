//! Stores of the server: SQLite in a file, with the schema of `migrations/`.

pub(crate) mod sqlite;
