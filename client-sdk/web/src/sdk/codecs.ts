/** Which codecs of the media format this browser plays and makes, and how a transceiver is told to keep to them. */

import type { Codec, VideoCodec } from './sdp.ts';
import { CODECS } from './sdp.ts';

/** One entry of getCapabilities, as far as it matters here. */
export interface CodecEntry {
  mimeType: string;
  sdpFmtpLine?: string;
}

/** Returns whether the relay forwards a codec with these parameters. */
export function isForwarded(entry: CodecEntry): boolean {
  const codec = nameOf(entry);
  const parameter = (name: string): string | undefined =>
    (entry.sdpFmtpLine ?? '')
      .split(';')
      .map((pair) => pair.trim().split('='))
      .find(([key]) => key === name)?.[1];
  switch (codec) {
    case 'H264':
      return parameter('packetization-mode') === '1';
    case 'VP9':
      return (parameter('profile-id') ?? '0') === '0';
    case 'AV1':
      return (parameter('profile') ?? '0') === '0';
    case 'VP8':
    case 'opus':
      return true;
    case undefined:
      return entry.mimeType.toLowerCase() === 'video/rtx';
  }
}

/** Returns the video codecs of the format that are not among `entries`, in the format's order. */
export function missingFrom(entries: readonly CodecEntry[]): VideoCodec[] {
  const there = new Set(entries.filter(isForwarded).map(nameOf));
  return CODECS.filter((codec): codec is VideoCodec => codec !== 'opus' && !there.has(codec));
}

/** Returns `entries` cut to what the relay forwards; of `first` those before all others, repairs (RTX) last. */
export function preferred<T extends CodecEntry>(entries: readonly T[], first?: Codec): T[] {
  const rank = (entry: T): number => (nameOf(entry) === undefined ? 2 : nameOf(entry) === first ? 0 : 1);
  return entries.filter(isForwarded).toSorted((one, other) => rank(one) - rank(other));
}

/** Returns the video codecs that this browser cannot play over WebRTC. Firefox may lack H264. */
export function unplayable(): VideoCodec[] {
  return missingFrom(RTCRtpReceiver.getCapabilities('video')?.codecs ?? []);
}

/** Keeps what a transceiver offers to receive to the codecs of the format. */
export function preferReceiving(transceiver: RTCRtpTransceiver, kind: 'audio' | 'video'): void {
  transceiver.setCodecPreferences(preferred(RTCRtpReceiver.getCapabilities(kind)?.codecs ?? []));
}

/** Keeps what a transceiver offers to send to the codecs of the format, `first` before all others. */
export function preferSending(transceiver: RTCRtpTransceiver, kind: 'audio' | 'video', first?: Codec): void {
  transceiver.setCodecPreferences(preferred(RTCRtpSender.getCapabilities(kind)?.codecs ?? [], first));
}

/** Switches the header extensions on that the relay reads, where this browser lets pages do so. */
export function switchExtensionsOn(transceiver: RTCRtpTransceiver, uris: readonly string[]): void {
  // Not in TypeScript's library yet: https://w3c.github.io/webrtc-extensions/#rtp-header-extension-control
  const control = transceiver as RTCRtpTransceiver & Partial<HeaderExtensionControl>;
  const offered = control.getHeaderExtensionsToNegotiate?.();
  if (offered === undefined) return;
  for (const extension of offered) {
    if (uris.includes(extension.uri)) extension.direction = 'sendrecv';
    if (extension.uri === LOUDNESS) extension.direction = 'stopped';
  }
  control.setHeaderExtensionsToNegotiate?.(offered);
}

interface HeaderExtensionControl {
  getHeaderExtensionsToNegotiate(): { uri: string; direction: RTCRtpTransceiverDirection }[];
  setHeaderExtensionsToNegotiate(extensions: { uri: string; direction: RTCRtpTransceiverDirection }[]): void;
}

function nameOf(entry: CodecEntry): Codec | undefined {
  const name = entry.mimeType.split('/')[1]?.toLowerCase();
  return CODECS.find((codec) => codec.toLowerCase() === name);
}

/** Tells a relay which frames need which, without a look into them. */
export const DEPENDENCY_DESCRIPTOR =
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
/** When a frame was taken, by the camera's clock. */
export const ABS_CAPTURE_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time';
/** Would tell in clear who speaks when (RFC 6464). */
const LOUDNESS = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
