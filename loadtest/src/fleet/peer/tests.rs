//! What a client offers, whose fault it is that it does not go on, and a change of address.

use super::*;
use crate::measure::line::Party;

#[test]
fn an_offer_names_one_section_its_codec_and_its_candidate() {
    for (way, codec, line) in
        [(Way::Publish, Codec::Vp8, "a=sendonly"), (Way::View, Codec::H264, "a=recvonly")]
    {
        let (peer, offer) = Peer::offer(way, &PeerOptions { codec, ..PeerOptions::default() }).unwrap();
        let sdp = &offer.sdp;
        assert!(sdp.contains(line) && sdp.contains(codec.sdp_name()), "{sdp}");
        assert_eq!(sdp.matches("m=").count(), 1);
        assert!(sdp.contains(&peer.socket().local_addr().unwrap().port().to_string()), "{sdp}");
        assert!(sdp.contains("rtx") && sdp.contains("nack pli"), "{sdp}");
        assert_eq!((peer.payload_type(), peer.is_connected(), peer.is_alive()), (None, false, true));
    }
}

#[test]
fn who_is_at_fault_is_told() {
    let options = PeerOptions { codec: Codec::Av1, ..PeerOptions::default() };
    let error = Peer::offer(Way::View, &options).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.party()),
        ("clients of the fleet speak VP8 and H.264, not AV1", Party::Caller)
    );
    let (mut peer, offer) = Peer::offer(Way::View, &PeerOptions::default()).unwrap();
    let packet = Outgoing { sequence: 1, timestamp: 0, marker: true, payload: b"frame" };
    assert!(matches!(peer.write(packet), Err(PeerError::NotSending)));
    assert!(!peer.ask_for_key_frame(), "nobody sends yet");
    let error = peer.accept(offer, "<html>not here</html>").unwrap_err();
    assert!(matches!(error, PeerError::Answer(_)) && error.party() == Party::Server, "{error}");
}

#[test]
fn a_client_that_changes_its_address_has_another_port() {
    let (mut peer, _) = Peer::offer(Way::View, &PeerOptions::default()).unwrap();
    let before = peer.socket().local_addr().unwrap();
    peer.move_address(&mut SendArena::new()).unwrap();
    let after = peer.socket().local_addr().unwrap();
    assert!(before.ip() == after.ip() && before.port() != after.port(), "{before} {after}");
}
