/** Made from client-sdk/wasm/src/face/session.rs: `make wasm-types` writes it anew. */

/**
 * A way to the relay: post the SDP offer to `url` with `grant` as bearer token. The grant opens no frame.
 */
export type Door = { 
/**
 * WHEP address of a watch, WHIP address of a camera.
 */
url: string, 
/**
 * Goes into the header `Authorization: Bearer …`, never into an address.
 */
grant: string, };

/**
 * A running watch or camera by its number.
 */
export type Session = { 
/**
 * Its number.
 */
session: number, };

/**
 * The steps between opening a camera and its picture, in their order.
 */
export type Step = "signalling" | "relay" | "ice" | "dtls" | "firstPacket" | "keyKnown" | "firstFrame";

/**
 * A step of the connection story that only the page sees.
 */
export type TellStep = { 
/**
 * Whose.
 */
session: number, 
/**
 * Which.
 */
step: Step, 
/**
 * Why it is not done, and with it all steps after it, also when they were done before: the connection is made
 * anew. `null` when it is done.
 */
reason: string | null, };

/**
 * A running watch, or a running camera. Its number goes into `RTCRtpScriptTransform` options.
 */
export type Watch = { 
/**
 * Its number, in this worker.
 */
session: number, };

/**
 * Which camera to watch.
 */
export type WatchCamera = { 
/**
 * Its id.
 */
camera: string, };

/**
 * A device that watches.
 */
export type Watcher = { 
/**
 * Its id.
 */
device: string, 
/**
 * What the household calls it.
 */
name: string, };
