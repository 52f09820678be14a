//! What a viewer makes of frames: opened, kept for keys, refused, and opened although removed.
