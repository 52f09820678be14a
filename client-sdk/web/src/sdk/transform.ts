/** Hands frames to the worker, which alone can open and seal them. */

import type { Codec } from './sdp.ts';

/** What the worker is told of the frames that an `rtctransform` event brings. */
export interface TransformOptions {
  /** The watch or camera they belong to. */
  session: number;
  /** `open` at a receiver, `seal` at a sender. */
  does: 'open' | 'seal';
  /** The codec that was agreed on. */
  codec: Codec;
}

/** Has the worker open or seal every frame of a receiver or sender. Nothing passes before it does. */
export function transformIn(
  worker: Worker,
  side: RTCRtpReceiver | RTCRtpSender,
  options: TransformOptions,
): void {
  side.transform = new RTCRtpScriptTransform(worker, options);
}

/** Whether this browser lets a worker open and seal frames. */
export function canTransform(): boolean {
  return typeof RTCRtpScriptTransform === 'function';
}
