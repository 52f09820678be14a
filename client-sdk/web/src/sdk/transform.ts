/**
 * Hands frames to the worker, which alone can open and seal them.
 *
 * The order matters: {@link holdFrames} must be called in the very task that makes a transceiver. Chromium decides at the
 * end of that task whether frames take the way through a worker; one that is told later lets them pass as they are, past
 * the transform, without an error. What holds frames can be replaced at any time after that.
 */

import type { TransformOptions } from './transform-options.ts';

/** Lets no frame pass a new receiver or sender until {@link transformIn} says what becomes of them. */
export function holdFrames(worker: Worker, side: RTCRtpReceiver | RTCRtpSender): void {
  side.transform = new RTCRtpScriptTransform(worker, { does: 'hold' } satisfies TransformOptions);
}

/** Has the worker open or seal every frame of a receiver or sender that held its frames until now. */
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
