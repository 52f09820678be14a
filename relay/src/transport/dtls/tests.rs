//! The handshake against a client of the same family.
