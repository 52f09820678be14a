//! Formats both ends speak: RTP, header extensions, RTCP, payload formats, envelope, grant.
