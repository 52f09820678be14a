/** What a worker is told of the frames that an `rtctransform` event brings. */

import type { Codec } from './sdp.ts';

/** What the worker is told of the frames that an `rtctransform` event brings. */
export type TransformOptions =
  /** Nothing may pass: the codec is not agreed on yet. The worker does not even read. */
  | { does: 'hold' }
  /** Every frame is opened (receiver) or sealed (sender). */
  | {
      does: 'open' | 'seal';
      /** The watch or camera they belong to. */
      session: number;
      /** The codec that was agreed on. */
      codec: Codec;
    };
