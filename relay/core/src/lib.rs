//! Sans-I/O forwarding of sealed packets: rooms, tracks, subscriptions.
