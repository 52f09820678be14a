//! Identity, device-list policy, MLS group, SFrame seal and open.
