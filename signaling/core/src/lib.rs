//! Rules of signaling: households, device lists, MLS delivery order, access.
