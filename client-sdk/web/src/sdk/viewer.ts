/** Watches one camera: keeps a connection to the relay, has the worker open every frame, and tells how it stands. */

import { askUntilDone } from './asking.ts';
import * as door from './door.ts';
import { DEPENDENCY_DESCRIPTOR, preferReceiving, switchExtensionsOn, unplayable } from './codecs.ts';
import { Emitter } from './emitter.ts';
import type { Event as WorkerEvent, Step } from './generated/face.ts';
import { Failure } from './link.ts';
import type { WorkerLink } from './link.ts';
import { Backoff, Patience } from './patience.ts';
import { askingFor, mediaLines, withoutOrphans } from './sdp.ts';
import type { VideoCodec } from './sdp.ts';
import type { Totals } from './stats.ts';
import { incoming, rates } from './stats.ts';
import { againFrom } from './story.ts';
import { canTransform, holdFrames, transformIn } from './transform.ts';
import type { ViewerState } from './viewer-state.ts';
import { isOver, newViewer, viewerAfter } from './viewer-state.ts';
import { Waker } from './waker.ts';

/** Why a connection ended or never was. */
type End =
  /** There was one; it is lost. */
  | { is: 'lost'; reason: string }
  /** There was none; the next try may wait longer each time. */
  | { is: 'none' }
  /** The camera does not send: look again soon. */
  | { is: 'notSending' }
  /** What comes does not open: asking for more would only drain the camera. */
  | { is: 'blind' }
  /** It is over for good. */
  | { is: 'over' };

/** One connection to the relay. */
interface Connection {
  peer: RTCPeerConnection;
  session: door.RelaySession;
  asked: number;
}

/**
 * A camera that is being watched. `stream` goes into a video element's srcObject, `state` says how it stands.
 *
 * It reconnects by itself: after a server's restart, a lost network, a page that slept. Only `stop` ends it, or the
 * household, by removing this device.
 */
export class Viewer extends Emitter<ViewerState> {
  /** Picture and sound that were opened and verified as the group's. Its tracks change with each connection. */
  readonly stream = new MediaStream();
  readonly #link: WorkerLink;
  readonly #waker = new Waker();
  #session: number | undefined;
  #connection: Connection | undefined;
  #stopped = false;
  #firstFrameTold = false;
  #knowsKey = false;
  #began = performance.now();

  private constructor(link: WorkerLink) {
    super(newViewer());
    this.#link = link;
  }

  /** Begins to watch the camera of this id. */
  static start(link: WorkerLink, camera: string): Viewer {
    const viewer = new Viewer(link);
    void viewer.#run(camera);
    return viewer;
  }

  /** Stops watching, and has the household told so. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#hangUp();
    if (this.#session !== undefined)
      void this.#link.call('unwatch', { session: this.#session }).catch(() => undefined);
    this.#waker.end();
    if (!isOver(this.state.phase)) this.become({ ...this.state, phase: { is: 'ended', reason: STOPPED } });
  }

  async #run(camera: string): Promise<void> {
    if (!canTransform()) return this.#over(NO_TRANSFORM);
    const unlisten = this.#link.listen((event) => {
      if (this.#session === undefined) return;
      this.become(viewerAfter(this.state, this.#session, event));
      if (isKey(event, this.#session)) this.#knowsKey = true;
      if (event.event === 'stepDone' && event.step === 'firstFrame') this.#tellFirstFrame();
      if (isOver(this.state.phase) || isKey(event, this.#session)) this.#waker.wake();
    });
    try {
      const watch = await askUntilDone(
        () => this.#link.call('watch', { camera }),
        (reason) => this.#show('signalling', reason),
        this.#waker,
        () => this.#stopped,
      );
      if (watch === undefined) return;
      this.#session = watch.session;
      this.#began = performance.now();
      if (this.#stopped) {
        await this.#link.call('unwatch', { session: watch.session });
        return;
      }
      await this.#keepConnected(watch.session);
    } catch (error) {
      this.#over(error instanceof Error ? error.message : String(error));
    } finally {
      this.#hangUp();
      unlisten();
      this.#waker.end();
    }
  }

  async #keepConnected(session: number): Promise<void> {
    const backoff = new Backoff();
    let looks = 0;
    let blind = 0;
    while (!this.#isDone()) {
      const end = await this.#connectOnce(session, backoff);
      this.#hangUp();
      looks = end.is === 'notSending' ? looks + 1 : 0;
      blind = end.is === 'blind' ? blind + 1 : 0;
      if (end.is === 'over' || this.#isDone()) return;
      if (end.is === 'lost') this.#again(session, end.reason);
      if (end.is === 'blind') this.#again(session, this.#knowsKey ? BLIND : NO_KEY);
      const pause = {
        lost: 0,
        none: backoff.next(Math.random()),
        notSending: Math.min((LOOK_AGAIN / 4) * looks, LOOK_AGAIN),
        blind: Math.min(BLIND_PAUSE * blind, LONGEST_BLIND_PAUSE),
      }[end.is];
      if (await this.#waker.sleep(pause)) backoff.reset();
    }
  }

  async #connectOnce(session: number, backoff: Backoff): Promise<End> {
    let way;
    try {
      way = await this.#link.call('door', { session });
    } catch (error) {
      return this.#refused(session, error);
    }
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
    try {
      const missing = unplayable();
      const video = receiving(this.#link.worker, peer, 'video');
      const audio = receiving(this.#link.worker, peer, 'audio');
      await peer.setLocalDescription();
      const offer = withoutOrphans(peer.localDescription?.sdp ?? '');
      const asked = performance.now();
      const opened = await door.open(way, askingFor(offer, missing));
      this.#connection = { peer, session: opened, asked };
      this.#firstFrameTold = false;

      const answered = mediaLines(opened.answer);
      const picture = answered.find((line) => line.kind === 'video');
      const lacking = missing.find((codec) => codec === picture?.codec && picture.direction !== 'inactive');
      if (lacking !== undefined) return this.#unplayable(lacking);
      for (const line of answered) {
        const side = line.kind === 'video' ? video : audio;
        if (line.direction === 'inactive' || line.codec === undefined) continue;
        transformIn(this.#link.worker, side.receiver, { session, does: 'open', codec: line.codec });
      }
      await peer.setRemoteDescription({ type: 'answer', sdp: opened.answer });
      this.#tell(session, 'relay', null);
      backoff.reset();
      this.#take(video.receiver.track, audio.receiver.track);
      return await this.#carry(session, peer);
    } catch (error) {
      if (this.#isDone()) return { is: 'over' };
      return this.#refused(session, error);
    } finally {
      if (this.#connection?.peer !== peer) peer.close();
    }
  }

  /** Looks at the connection until it ends or goes silent. */
  async #carry(session: number, peer: RTCPeerConnection): Promise<End> {
    const patience = new Patience(performance.now());
    let before: { totals: Totals; at: number } | undefined;
    let packets = 0;
    const began = performance.now();
    let looked = began;
    const told = { ice: false, dtls: false };
    const onChange = (): void => this.#waker.wake();
    peer.addEventListener('connectionstatechange', onChange);
    peer.addEventListener('iceconnectionstatechange', onChange);
    for (;;) {
      const totals = incoming((await peer.getStats()).values());
      const now = performance.now();
      if (this.#isDone()) return { is: 'over' };
      if (now - looked > ASLEEP) patience.awoke(now);
      looked = now;
      const found = ['connected', 'completed'].includes(peer.iceConnectionState);
      if (found && !told.ice) {
        told.ice = true;
        this.#tell(session, 'ice', null);
      }
      if (peer.connectionState === 'connected' && !told.dtls) {
        told.dtls = true;
        this.#tell(session, 'dtls', null);
        patience.secured(now);
      }
      if (peer.connectionState === 'failed' || peer.connectionState === 'closed') {
        return { is: 'lost', reason: CLOSED };
      }
      if (totals.packets > packets) {
        packets = totals.packets;
        patience.packets(now);
      }
      if (this.state.figures?.blind && now - began > BLIND_AFTER) return { is: 'blind' };
      if (now >= patience.ends()) return { is: 'lost', reason: patience.reason(now) };
      if (before === undefined || now - before.at >= FIGURES_EVERY) {
        if (before !== undefined) this.#picture(before.totals, totals, (now - before.at) / 1000);
        before = { totals, at: now };
      }
      await this.#waker.sleep(LOOK_EVERY);
    }
  }

  #take(video: MediaStreamTrack, audio: MediaStreamTrack): void {
    const take = (track: MediaStreamTrack): void => {
      if (this.#connection?.peer.getReceivers().every((receiver) => receiver.track !== track)) return;
      for (const old of this.stream.getTracks()) {
        if (old.kind === track.kind && old !== track) this.stream.removeTrack(old);
      }
      this.stream.addTrack(track);
    };
    for (const track of [video, audio]) {
      // What shows stays until the first packet of the new connection.
      if (track.muted && this.stream.getTracks().some((old) => old.kind === track.kind)) {
        track.addEventListener('unmute', () => take(track), { once: true });
      } else {
        take(track);
      }
    }
  }

  #picture(before: Totals, now: Totals, seconds: number): void {
    const { fps, playoutMs } = rates(before, now, seconds);
    const age = this.state.figures?.ageMs;
    const latencyMs = age === null || age === undefined ? undefined : Math.max(0, age + playoutMs);
    const { width, height, jitterMs, packetsLost, freezes } = now;
    this.become({
      ...this.state,
      picture: { width, height, fps, latencyMs, jitterMs, packetsLost, freezes },
    });
  }

  #refused(session: number, error: unknown): End {
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof Failure && error.code === 'no-publisher') {
      this.#tell(session, 'relay', NOT_SENDING);
      return { is: 'notSending' };
    }
    this.#tell(session, 'relay', reason);
    return { is: 'none' };
  }

  #again(session: number, reason: string): void {
    this.#tell(session, 'relay', reason);
    const story = againFrom(this.state.story, 'relay', reason);
    const phase: ViewerState['phase'] =
      this.state.phase.is === 'live' || this.state.phase.is === 'again'
        ? { is: 'again', reason }
        : { is: 'connecting' };
    const since = performance.now() - this.#began;
    const reconnects = this.state.reconnects + 1;
    this.become({ ...this.state, story, since, phase, fresh: null, reconnects });
  }

  #tell(session: number, step: Step, reason: string | null): void {
    void this.#link.call('tellStep', { session, step, reason }).catch(() => undefined);
  }

  #show(step: Step, reason: string): void {
    this.become({ ...this.state, story: againFrom(this.state.story, step, reason) });
  }

  #tellFirstFrame(): void {
    if (this.#connection === undefined || this.#firstFrameTold) return;
    this.#firstFrameTold = true;
    door.tellFirstFrame(this.#connection.session, performance.now() - this.#connection.asked);
  }

  #unplayable(codec: VideoCodec): End {
    this.become({ ...this.state, phase: { is: 'unplayable', codec } });
    return { is: 'over' };
  }

  #over(reason: string): void {
    if (!isOver(this.state.phase)) this.become({ ...this.state, phase: { is: 'ended', reason } });
  }

  #hangUp(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    door.close(connection.session);
    connection.peer.close();
    if (this.#isDone()) for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }

  #isDone(): boolean {
    return this.#stopped || isOver(this.state.phase);
  }
}

/** Whether a key has come, so that what did not open may open now. */
function isKey(event: WorkerEvent, session: number): boolean {
  const keys = event.event === 'newEpoch' || (event.event === 'stepDone' && event.step === 'keyKnown');
  return keys && event.session === session;
}

function receiving(worker: Worker, peer: RTCPeerConnection, kind: 'audio' | 'video'): RTCRtpTransceiver {
  const transceiver = peer.addTransceiver(kind, { direction: 'recvonly' });
  holdFrames(worker, transceiver.receiver);
  preferReceiving(transceiver, kind);
  if (kind === 'video') switchExtensionsOn(transceiver, [DEPENDENCY_DESCRIPTOR]);
  // Live: nothing is held back for smoothness.
  transceiver.receiver.jitterBufferTarget = 0;
  return transceiver;
}

/** How often a connection is looked at, in milliseconds. */
const LOOK_EVERY = 200;
/** How often figures are made for people. */
const FIGURES_EVERY = 1_000;
/** A look that comes so late was held up by sleep, not by load. */
const ASLEEP = 3_000;
/** How long until it is looked again whether the camera sends. */
const LOOK_AGAIN = 1_000;
/** A new connection brings old frames first: so long it may show nothing. */
const BLIND_AFTER = 3_000;
const BLIND_PAUSE = 5_000;
const LONGEST_BLIND_PAUSE = 60_000;

const STOPPED = 'It was stopped here.';
const CLOSED = 'the connection to the relay ended';
const NOT_SENDING = 'the camera is not sending now';
const BLIND = 'nothing that comes opens with this camera’s keys; it is tried again less and less often';
const NO_KEY = 'this device has no key of the camera yet; the connection rests until one comes';
const NO_TRANSFORM =
  'This browser cannot open video that is encrypted end to end: use Chrome or Edge 141, Firefox 117, Safari 15.4, or a newer one.';
