/** Makes this device a camera: picture and sound of its own, sealed in the worker, sent to the relay. */

import { askUntilDone } from './asking.ts';
import { ABS_CAPTURE_TIME, DEPENDENCY_DESCRIPTOR, preferSending, switchExtensionsOn } from './codecs.ts';
import * as door from './door.ts';
import { Emitter } from './emitter.ts';
import type { Step } from './generated/face.ts';
import type { WorkerLink } from './link.ts';
import { Backoff } from './patience.ts';
import type { PublisherState } from './publisher-state.ts';
import { newPublisher, publisherAfter } from './publisher-state.ts';
import type { Codec } from './sdp.ts';
import { mediaLines, withoutOrphans } from './sdp.ts';
import { answered } from './stats.ts';
import { againFrom } from './story.ts';
import { canTransform, holdFrames, transformIn } from './transform.ts';
import { Waker } from './waker.ts';

/** What is sent. */
export interface PublisherOptions {
  /** Picture and sound, from getUserMedia. They stay the caller's: stopping the publisher leaves them on. */
  stream: MediaStream;
  /** The codec to be offered first; VP8 plays in every browser. */
  codec?: Codec;
  /** Bits per second of the largest picture at most. */
  maxBitrate?: number;
}

/** This device as a camera. It reconnects by itself; only `stop` ends it, or the household. */
export class Publisher extends Emitter<PublisherState> {
  readonly #link: WorkerLink;
  readonly #options: PublisherOptions;
  readonly #waker = new Waker();
  #session: number | undefined;
  #peer: RTCPeerConnection | undefined;
  #relay: door.RelaySession | undefined;
  #stopped = false;
  readonly #began = performance.now();

  private constructor(link: WorkerLink, options: PublisherOptions) {
    super(newPublisher());
    this.#link = link;
    this.#options = options;
  }

  /** Begins to keep the camera's group and to send. Rejects when this device is no camera. */
  static async start(link: WorkerLink, options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(link, options);
    if (!canTransform()) throw new Error(NO_TRANSFORM);
    const told = await askUntilDone(
      () => link.call('publish', {}),
      () => undefined,
      publisher.#waker,
      () => false,
    );
    if (told !== undefined) void publisher.#run(told.session);
    return publisher;
  }

  /** Stops sending. The device stays a camera of the household. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#hangUp();
    this.#waker.end();
    if (this.#session !== undefined) {
      void this.#link.call('unpublish', { session: this.#session }).catch(() => undefined);
    }
    if (this.state.phase.is !== 'ended')
      this.become({ ...this.state, phase: { is: 'ended', reason: STOPPED } });
  }

  async #run(session: number): Promise<void> {
    this.#session = session;
    const unlisten = this.#link.listen((event) => {
      this.become(publisherAfter(this.state, session, event));
      if (this.state.phase.is === 'ended') this.#waker.wake();
    });
    const backoff = new Backoff();
    while (!this.#isDone()) {
      const lost = await this.#connectOnce(session, backoff);
      this.#hangUp();
      if (this.#isDone()) break;
      if (lost !== undefined) this.#again(session, lost);
      const pause = lost === undefined ? backoff.next(Math.random()) : 0;
      if (await this.#waker.sleep(pause)) backoff.reset();
    }
    unlisten();
    this.#hangUp();
    this.#waker.end();
  }

  /** Returns why the connection was lost; undefined when there was none. */
  async #connectOnce(session: number, backoff: Backoff): Promise<string | undefined> {
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
    this.#peer = peer;
    try {
      const way = await this.#link.call('door', { session });
      const senders = this.#offerTracks(peer);
      await peer.setLocalDescription();
      const opened = await door.open(way, withoutOrphans(peer.localDescription?.sdp ?? ''));
      this.#relay = opened;
      for (const line of mediaLines(opened.answer)) {
        const sender = senders.get(line.kind);
        if (sender === undefined || line.codec === undefined || line.direction === 'inactive') continue;
        transformIn(this.#link.worker, sender, { session, does: 'seal', codec: line.codec });
        if (line.kind === 'video') {
          this.become({ ...this.state, codec: line.codec, simulcast: line.simulcast });
        }
      }
      await peer.setRemoteDescription({ type: 'answer', sdp: opened.answer });
      const video = senders.get('video');
      if (video && !this.state.simulcast) await this.#wholePicture(video);
      this.#tell(session, 'relay', null);
      backoff.reset();
      return await this.#carry(session, peer);
    } catch (error) {
      this.#tell(session, 'relay', error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #offerTracks(peer: RTCPeerConnection): Map<string, RTCRtpSender> {
    const senders = new Map<string, RTCRtpSender>();
    for (const track of this.#options.stream.getTracks()) {
      const kind = track.kind === 'video' ? 'video' : 'audio';
      if (senders.has(kind)) continue;
      const transceiver = peer.addTransceiver(track, {
        direction: 'sendonly',
        sendEncodings: kind === 'video' ? this.#encodings(track) : [{}],
      });
      holdFrames(this.#link.worker, transceiver.sender);
      preferSending(transceiver, kind, kind === 'video' ? (this.#options.codec ?? 'VP8') : 'opus');
      switchExtensionsOn(transceiver, [DEPENDENCY_DESCRIPTOR, ABS_CAPTURE_TIME]);
      if (kind === 'video') track.contentHint = 'motion';
      senders.set(kind, transceiver.sender);
    }
    return senders;
  }

  #encodings(track: MediaStreamTrack): RTCRtpEncodingParameters[] {
    const whole = this.#options.maxBitrate ?? MAX_BITRATE;
    const { height = 0 } = track.getSettings();
    if (height < SMALLEST_TO_HALVE) return [{ maxBitrate: whole }];
    // Smallest first: a browser serves them in this order when there is little room.
    return SIZES.map(({ rid, scale }) => ({
      rid,
      scaleResolutionDownBy: scale,
      maxBitrate: Math.round(whole / scale ** 1.6),
    }));
  }

  /** A relay that takes no simulcast leaves the first size alone: it becomes the whole picture. */
  async #wholePicture(sender: RTCRtpSender): Promise<void> {
    const parameters = sender.getParameters();
    const [only, ...others] = parameters.encodings;
    if (only === undefined || others.length > 0) return;
    only.scaleResolutionDownBy = 1;
    only.maxBitrate = this.#options.maxBitrate ?? MAX_BITRATE;
    await sender.setParameters(parameters);
  }

  async #carry(session: number, peer: RTCPeerConnection): Promise<string> {
    const told = { ice: false, dtls: false };
    let bytes = 0;
    let heard = performance.now();
    const began = heard;
    let looked = heard;
    const onChange = (): void => this.#waker.wake();
    peer.addEventListener('connectionstatechange', onChange);
    peer.addEventListener('iceconnectionstatechange', onChange);
    for (;;) {
      const back = answered((await peer.getStats()).values());
      const now = performance.now();
      if (this.#isDone()) return STOPPED;
      if (back > bytes || now - looked > ASLEEP) heard = now;
      bytes = back;
      looked = now;
      if (['connected', 'completed'].includes(peer.iceConnectionState) && !told.ice) {
        told.ice = true;
        this.#tell(session, 'ice', null);
      }
      if (peer.connectionState === 'connected' && !told.dtls) {
        told.dtls = true;
        this.#tell(session, 'dtls', null);
      }
      if (peer.connectionState === 'failed' || peer.connectionState === 'closed') return CLOSED;
      if (!told.dtls && now - began > SECURED_LIMIT) return 'no answer over UDP within 10 s';
      if (told.dtls && now - heard > SILENCE)
        return `nothing heard of the relay for ${((now - heard) / 1000).toFixed(1)} s`;
      await this.#waker.sleep(LOOK_EVERY);
    }
  }

  #again(session: number, reason: string): void {
    this.#tell(session, 'relay', reason);
    const story = againFrom(this.state.story, 'relay', reason);
    const since = performance.now() - this.#began;
    this.become({ ...this.state, story, since, phase: { is: 'again', reason } });
  }

  #tell(session: number, step: Step, reason: string | null): void {
    void this.#link.call('tellStep', { session, step, reason }).catch(() => undefined);
  }

  #hangUp(): void {
    door.close(this.#relay);
    this.#relay = undefined;
    this.#peer?.close();
    this.#peer = undefined;
  }

  #isDone(): boolean {
    return this.#stopped || this.state.phase.is === 'ended';
  }
}

/** How often the connection is looked at, in milliseconds. */
const LOOK_EVERY = 500;
/** A look that comes so late was held up by sleep, not by load. */
const ASLEEP = 5_000;
/** The relay reports once a second. */
const SILENCE = 2_500;
/** How long ICE and DTLS may take together. */
const SECURED_LIMIT = 10_000;
/** Bits per second of the largest picture. */
const MAX_BITRATE = 2_500_000;
/** Height of a picture of which smaller sizes are worth sending. */
const SMALLEST_TO_HALVE = 480;
/** Names of the sizes (RFC 8851): a quarter, half, all of the picture's width and height. */
const SIZES = [
  { rid: 'q', scale: 4 },
  { rid: 'h', scale: 2 },
  { rid: 'f', scale: 1 },
];

const STOPPED = 'It was stopped here.';
const CLOSED = 'the connection to the relay ended';
const NO_TRANSFORM =
  'This browser cannot encrypt video end to end: use Chrome or Edge 141, Firefox 117, Safari 15.4, or a newer one.';
