//! A household in a few lines: a camera that seals frames and a phone that opens them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_e2ee::group::{CameraGroup, ClaimedPackage, KeyPackages, Member};
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::payload::{self, Payloads};

use crate::support::peer::Packet;

/// The camera's sealing end and the phone's opening end of one group.
pub fn household() -> (FrameSealer, FrameOpener) {
    let now = SystemTime::now();
    let seconds = crate::support::seconds(now);
    let (root, _) = HouseholdRoot::generate().unwrap();
    let [admin, camera, phone] = [(); 3].map(|()| DeviceIdentity::generate().unwrap());
    let first = admin.public().entry(Role::Admin, seconds, Vec::new());
    let list = root.sign_list(DeviceList::founding(root.household(), first, seconds).unwrap());
    let mut chain = ListChain::new(&root.public()).unwrap();
    chain.accept(list.as_bytes(), Some(now)).unwrap();
    for (device, role) in [(&camera, Role::Camera), (&phone, Role::Viewer)] {
        let entry = device.public().entry(role, seconds, Vec::new());
        let draft =
            DeviceList::after(chain.head().unwrap(), Signer::Device(admin.device()), seconds, Reason::Added);
        let signed = admin.sign_list(draft.with(entry).unwrap());
        chain.accept(signed.as_bytes(), Some(now)).unwrap();
    }
    let mut packages = KeyPackages::new();
    let key_package = packages.generate(&phone, &chain, now).unwrap();
    let mut group = CameraGroup::found(&camera, &chain, now).unwrap();
    let claimed = [ClaimedPackage { device: phone.device(), key_package }];
    let commit = group.sync(&chain, &claimed, now).unwrap().commit.unwrap();
    group.confirm().unwrap();
    let welcome = commit.welcomes.iter().find(|welcome| welcome.device == phone.device()).unwrap();
    let member = Member::join(&phone, &chain, &mut packages, camera.device(), &welcome.welcome).unwrap();
    let session = group.next_session().unwrap();
    let mut opener = FrameOpener::new();
    opener.add_epoch(member.frame_keys().unwrap(), Duration::ZERO);
    (FrameSealer::new(&group.frame_keys().unwrap(), session), opener)
}

/// One track of made-up frames, in the bitstream of its codec as far as the envelope looks into it.
pub struct Track {
    pub codec: Codec,
    envelope: EnvelopeBuilder,
    number: u32,
}

/// One sealed frame, ready for RTP.
pub struct SealedFrame {
    pub timestamp: u32,
    pub payloads: Vec<Vec<u8>>,
    /// What was sealed.
    pub plain: Vec<u8>,
}

impl Track {
    pub fn new(codec: Codec) -> Self {
        Self { codec, envelope: EnvelopeBuilder::new(codec), number: 0 }
    }

    /// Every 30th frame is a key frame.
    pub fn next(&mut self, sealer: &mut FrameSealer) -> SealedFrame {
        let key = self.codec == Codec::Opus || self.number.is_multiple_of(30);
        let plain = bitstream(self.codec, key, self.number);
        let mut clear = Vec::new();
        self.envelope.build(key, &plain, &mut clear).unwrap();
        let header = InnerHeader::new(SystemTime::now(), key, self.codec);
        let (mut sframe, mut wire, mut payloads) = (Vec::new(), Vec::new(), Payloads::new());
        let track = u8::from(self.codec == Codec::Opus);
        sealer.seal(track, header, &clear, &plain, &mut sframe).unwrap();
        envelope::join(self.codec, &clear, &sframe, &mut wire);
        payload::split(self.codec, &wire, key, 1_040, &mut payloads).unwrap();
        let timestamp = 90_000 + self.number * self.codec.clock_rate() / 30;
        self.number += 1;
        SealedFrame { timestamp, payloads: payloads.iter().map(<[u8]>::to_vec).collect(), plain }
    }
}

/// Something that begins as a frame of the codec does, and goes on with bytes that differ from frame to frame.
pub fn bitstream(codec: Codec, key: bool, number: u32) -> Vec<u8> {
    let head: &[u8] = match (codec, key) {
        (Codec::H264, true) => &H264_KEY,
        (Codec::H264, false) => &[0, 0, 0, 1, 0x41, 0x9A, 0x26],
        (Codec::Vp8, true) => &[0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01],
        (Codec::Vp8, false) => &[0x11, 0x02, 0x00],
        (Codec::Vp9, true) => &[0x82, 0x49, 0x83, 0x42],
        (Codec::Vp9, false) => &[0x86, 0x00],
        (Codec::Av1, true) => &[0x0A, 0x02, 0x00, 0x00, 0x32, 0x20],
        (Codec::Av1, false) => &[0x32, 0x20],
        (Codec::Opus, _) => &[0x78],
    };
    let len = match (codec, key) {
        (Codec::Opus, _) => 120,
        (_, true) => 9_000,
        (_, false) => 2_500,
    };
    let body =
        (0..len).map(|at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(number * 97) >> 13) as u8 | 1);
    head.iter().copied().chain(body).collect()
}

/// Puts the packets of one kind together to frames and opens them; returns timestamp and content of each, in order.
pub fn open_all(opener: &mut FrameOpener, codec: Codec, packets: &[Packet]) -> Vec<(u32, Vec<u8>)> {
    let kind = codec.kind();
    let ordered: BTreeMap<u64, &Packet> =
        packets.iter().filter(|packet| packet.kind == kind).map(|packet| (packet.sequence, packet)).collect();
    let mut frames: Vec<(u32, Vec<&Packet>)> = Vec::new();
    for packet in ordered.into_values() {
        match frames.last_mut() {
            Some((timestamp, frame)) if *timestamp == packet.timestamp => frame.push(packet),
            _ => frames.push((packet.timestamp, vec![packet])),
        }
    }
    // The last one may still be on its way.
    frames.retain(|(_, frame)| kind == MediaKind::Audio || frame.last().is_some_and(|last| last.marker));
    let (mut wire, mut scratch) = (Vec::new(), Vec::new());
    let opened = frames.into_iter().map(|(timestamp, frame)| {
        payload::assemble(codec, frame.iter().map(|packet| packet.payload.as_slice()), &mut wire).unwrap();
        let parts = envelope::split(codec, &wire, &mut scratch).unwrap();
        let mut plain = Vec::new();
        opener.open(parts.sframe, parts.envelope, &mut plain).unwrap();
        (timestamp, plain)
    });
    opened.collect()
}

/// A key frame as x264 writes it: SPS and PPS of constrained baseline 640x360, then the slice.
const H264_KEY: [u8; 45] = [
    0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA0, 0x2F, 0xF9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00,
    0x01, 0x00, 0x00, 0x03, 0x00, 0x3C, 0x0F, 0x16, 0x2E, 0x48, 0, 0, 0, 1, 0x68, 0xCB, 0x83, 0xCB, 0x20, 0,
    0, 0, 1, 0x65, 0x88, 0x84,
];
