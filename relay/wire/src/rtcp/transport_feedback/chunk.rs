//! Packet status chunks (draft-holmer-rmcat-transport-wide-cc-extensions-01 sections 3.1.1 to 3.1.4): two bytes that say
//! which of several packets came, and how long their deltas are.

/// Packet status symbols (section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Lost,
    Small,
    Large,
    Reserved,
}

impl Symbol {
    pub(super) fn of_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::Lost,
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Reserved,
        }
    }

    pub(super) fn of_delta(delta: Option<i16>) -> Self {
        match delta {
            None => Self::Lost,
            Some(0..=255) => Self::Small,
            Some(_) => Self::Large,
        }
    }

    /// Bytes of its delta; `None` for the reserved one.
    pub(super) fn delta_len(self) -> Option<usize> {
        match self {
            Self::Lost => Some(0),
            Self::Small => Some(1),
            Self::Large => Some(2),
            Self::Reserved => None,
        }
    }
}

/// Packet status chunks (sections 3.1.3 and 3.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Run(Symbol, u16),
    OneBit(u16),
    TwoBit(u16),
}

impl Chunk {
    pub(super) fn read(bytes: [u8; 2]) -> Self {
        let word = u16::from_be_bytes(bytes);
        match word >> 14 {
            0 | 1 => Self::Run(Symbol::of_bits(word >> 13), word & 0x1FFF),
            2 => Self::OneBit(word & 0x3FFF),
            _ => Self::TwoBit(word & 0x3FFF),
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Run(_, len) => usize::from(len),
            Self::OneBit(_) => 14,
            Self::TwoBit(_) => 7,
        }
    }

    pub(super) fn symbol(self, place: usize) -> Symbol {
        match self {
            Self::Run(symbol, _) => symbol,
            Self::OneBit(bits) => Symbol::of_bits(bits >> (13 - place) & 1),
            Self::TwoBit(bits) => Symbol::of_bits(bits >> (12 - 2 * place)),
        }
    }

    /// Bytes of the deltas of its first `count` packets.
    pub(super) fn delta_len(self, count: usize) -> Option<usize> {
        match self {
            Self::Run(symbol, _) => Some(symbol.delta_len()? * count),
            _ => (0..count).map(|place| self.symbol(place).delta_len()).sum(),
        }
    }
}
