/** Opens the frames of receivers and seals those of senders. What was not opened or sealed goes nowhere. */

import type { TransformOptions } from '../sdk/transform-options.ts';
import { Held } from './held.ts';
import { Layers } from './layers.ts';
import type { FrameKeys } from './machine.ts';

type Frame = RTCEncodedVideoFrame | RTCEncodedAudioFrame;
/** What a browser says of a frame; of sound it knows no layers. */
type Metadata = RTCEncodedAudioFrameMetadata & Pick<RTCEncodedVideoFrameMetadata, 'temporalIndex'>;

/** What the module says of a frame: its enum's numbers. */
export const Verdict = { Pass: 0, Wait: 1, Nothing: 2, Drop: 3 } as const;

/** All transforms of this worker. */
export class Transforms {
  readonly #keys: FrameKeys;
  readonly #running = new Map<number, Set<() => void>>();

  constructor(keys: FrameKeys) {
    this.#keys = keys;
  }

  /** Begins to open or seal what an `rtctransform` event brings. */
  begin(transformer: RTCRtpScriptTransformer): void {
    const options = transformer.options as TransformOptions;
    // Whatever is never read goes nowhere.
    if (options.does === 'hold') return;
    const pump = options.does === 'seal' ? this.#sealing(options) : this.#opening(options, transformer);
    const retries = this.#running.get(options.session) ?? new Set();
    this.#running.set(options.session, retries.add(pump.retry));
    const through = new TransformStream<Frame, Frame>({
      start: pump.start,
      transform: pump.transform,
    });
    transformer.readable
      .pipeThrough(through)
      .pipeTo(transformer.writable)
      .catch(() => undefined)
      .finally(() => {
        retries.delete(pump.retry);
        if (retries.size === 0) this.#running.delete(options.session);
      });
  }

  /** Tries the frames of this session again that wait. */
  retry(session: number): void {
    for (const retry of this.#running.get(session) ?? []) retry();
  }

  #opening(options: Way, transformer: RTCRtpScriptTransformer): Pump {
    const codec = CODES[options.codec];
    const held = new Held<Frame>();
    let out: TransformStreamDefaultController<Frame> | undefined;
    let missing = false;
    let asked = -Infinity;

    const open = (frame: Frame): number => {
      const opener = this.#keys.opener(options.session);
      if (opener === undefined) return Verdict.Drop;
      const verdict = opener.open(codec, new Uint8Array(frame.data));
      if (verdict === Verdict.Pass) {
        const plain = opener.take();
        if (plain === undefined) return Verdict.Drop;
        frame.data = plain.buffer as ArrayBuffer;
        out?.enqueue(frame);
      }
      return verdict;
    };
    /** After a gap the decoder needs a key frame; where nothing opens, one would not help. */
    const askForKeyFrame = (now: number): void => {
      if (!missing || options.codec === 'opus') return;
      if (now - asked < ASK_AGAIN || this.#keys.opener(options.session)?.isBlind() !== false) return;
      missing = false;
      asked = now;
      transformer.sendKeyFrameRequest().catch(() => undefined);
    };
    const settle = (verdict: number): void => {
      if (verdict === Verdict.Drop) missing = true;
      if (verdict === Verdict.Pass) askForKeyFrame(performance.now());
    };
    const giveUp = (frames: number): void => {
      if (frames === 0) return;
      missing = true;
      this.#keys.opener(options.session)?.gaveUp(frames);
    };
    const retry = (): void => {
      giveUp(held.expire(performance.now()));
      held.drain((frame) => {
        const verdict = trying(() => open(frame));
        settle(verdict);
        return verdict !== Verdict.Wait;
      });
    };
    const transform = (frame: Frame): void => {
      const now = performance.now();
      giveUp(held.expire(now));
      const bytes = frame.data.byteLength;
      const verdict = trying(() => open(frame));
      if (verdict === Verdict.Wait) giveUp(held.keep(frame, bytes, now));
      else settle(verdict);
    };
    return { start: (controller) => void (out = controller), transform, retry };
  }

  #sealing(options: Way): Pump {
    const codec = CODES[options.codec];
    const layers = new Layers();
    const held = new Held<Frame>();
    let out: TransformStreamDefaultController<Frame> | undefined;

    const seal = (frame: Frame): boolean => {
      const sealer = this.#keys.sealer(options.session);
      if (sealer === undefined) return true;
      const metadata: Metadata = frame.getMetadata();
      const layer = layers.of(metadata.synchronizationSource ?? 0);
      // Every packet of sound can be decoded by itself.
      const key = 'type' in frame && options.codec !== 'opus' ? frame.type === 'key' : true;
      const verdict = sealer.seal(layer, codec, key, metadata.temporalIndex ?? 0, new Uint8Array(frame.data));
      const wire = verdict === Verdict.Pass ? sealer.take() : undefined;
      if (wire !== undefined) {
        frame.data = wire.buffer as ArrayBuffer;
        out?.enqueue(frame);
      }
      return verdict !== Verdict.Wait;
    };
    const retry = (): void => {
      held.expire(performance.now());
      held.drain((frame) => trying(() => (seal(frame) ? Verdict.Pass : Verdict.Wait)) !== Verdict.Wait);
    };
    const transform = (frame: Frame): void => {
      held.keep(frame, frame.data.byteLength, performance.now());
      retry();
    };
    return { start: (controller) => void (out = controller), transform, retry };
  }
}

/** What becomes of frames, once it is known. */
type Way = Exclude<TransformOptions, { does: 'hold' }>;

interface Pump {
  start(controller: TransformStreamDefaultController<Frame>): void;
  transform(frame: Frame): void;
  retry(this: void): void;
}

/** A module that failed has told so itself, and starts anew; this frame is lost. */
function trying(work: () => number): number {
  try {
    return work();
  } catch {
    return Verdict.Drop;
  }
}

/** Numbers of the codecs in the sealed header. */
const CODES = { H264: 0, VP8: 1, VP9: 2, AV1: 3, opus: 4 } as const;
/** Milliseconds between two requests for a key frame. */
const ASK_AGAIN = 1_000;
