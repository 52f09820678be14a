//! What is counted or gauged besides packets.

/// Control traffic worth counting on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Sequence numbers asked for by viewers' NACKs.
    NackedPackets,
    /// Packets sent again on an RTX stream.
    RtxPackets,
    /// Payload bytes sent again on an RTX stream.
    RtxBytes,
    /// Key frame requests (PLI or FIR) from viewers.
    PliIn,
    /// Key frame requests sent to publishers.
    PliOut,
    /// NACKs sent to publishers.
    NackOut,
    /// Sessions taken in.
    SessionOpened,
    /// DTLS handshakes completed.
    DtlsConnected,
    /// Datagrams that the kernel dropped because the receive buffer was full (SO_RXQ_OVFL).
    SocketReceiveDrops,
    /// Datagrams handed to another shard.
    HandedOver,
    /// Send system calls.
    SendCalls,
    /// GSO trains (or single datagrams) handed to the kernel.
    Trains,
    /// Sessions that sent more than they may, each counted once.
    SessionsLimited,
    /// Processor time of the shard's thread, in microseconds.
    CpuMicros,
    /// Packets of rooms handed to other shards that have viewers of them.
    HandedOn,
    /// Times that packets for other shards had to wait for the next batch, because too many were under way.
    HandOnsPutOff,
    /// Feedback of viewers about all packets sent to them (transport-cc).
    TransportFeedbackIn,
    /// The same, sent to publishers.
    TransportFeedbackOut,
    /// Packets that went out spread, because their viewer's path is slower than a burst.
    PacedPackets,
    /// Times that a viewer too far behind its path went on at a newer key frame.
    Skips,
    /// Bursts sent to see whether a viewer's path carries more.
    Probes,
    /// Times that a viewer's video went to a higher layer.
    LayersUp,
    /// Times that one went to a lower layer.
    LayersDown,
}

impl Event {
    pub(super) const COUNT: usize = Self::LayersDown as usize + 1;
}

/// What is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Rooms with a publisher.
    Rooms,
    /// Publishing sessions.
    Publishers,
    /// Viewing sessions.
    Viewers,
    /// Sessions of both roles whose DTLS handshake is not done.
    Connecting,
    /// Processor time of the shard's thread in the last second, in thousandths of a processor. Of one shard: not to be added up.
    LoadPerMille,
    /// Video legs that get the smallest layer of their source.
    Layer0,
    /// The next larger one.
    Layer1,
    /// The one above that.
    Layer2,
    /// One above these.
    LayersAbove,
    /// Video legs that get key frames only, whatever their layer.
    KeyFramesOnly,
    /// Layers that their publisher was asked to pause.
    PausedLayers,
}

impl Gauge {
    pub(super) const COUNT: usize = Self::PausedLayers as usize + 1;
}
