//! Camera, viewer, and the latchkey command.
