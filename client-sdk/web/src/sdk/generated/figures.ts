/** Made from client-sdk/wasm/src/face/figures.rs: `make wasm-types` writes it anew. */

/**
 * What the camera's signature says about the frames of the moment.
 */
export type Authenticity = "notVerified" | "signed" | "forged";

/**
 * Frames that did not open, for one reason.
 */
export type Failed = { 
/**
 * Stable name of the reason.
 */
reason: string, 
/**
 * How many.
 */
frames: number, };

/**
 * What a watch has opened.
 */
export type Figures = { 
/**
 * Video frames opened since the start.
 */
openedVideo: number, 
/**
 * Audio frames opened since the start.
 */
openedAudio: number, 
/**
 * Frames that did not open, by reason, since the start.
 */
failed: Array<Failed>, 
/**
 * Opened video frames per second.
 */
fps: number, 
/**
 * Bits of opened frames per second.
 */
bitsPerSecond: number, 
/**
 * Age of the newest video frame when it was opened, in milliseconds, by the camera's clock and this one's.
 */
ageMs: number | null, 
/**
 * Frames that the camera's signature covers, since the start.
 */
signed: number, 
/**
 * Frames whose signature did not come.
 */
unverified: number, 
/**
 * Frames that the camera did not make.
 */
forged: number, 
/**
 * What the newest of these verdicts say.
 */
authenticity: Authenticity, 
/**
 * The camera's own answer proves the last frame to be of now; `null` while it has not answered.
 */
live: boolean | null, 
/**
 * Nothing that comes has opened for a while: no more key frames are to be asked for.
 */
blind: boolean, };

/**
 * What a camera has sealed.
 */
export type SendingFigures = { 
/**
 * Video frames sealed since the start.
 */
sealedVideo: number, 
/**
 * Audio frames sealed since the start.
 */
sealedAudio: number, 
/**
 * Frames that could not be sealed, by reason.
 */
failed: Array<Failed>, 
/**
 * The MLS epoch in use.
 */
epoch: number, 
/**
 * Video frames sealed per second.
 */
fps: number, 
/**
 * Bits of sealed frames per second.
 */
bitsPerSecond: number, };
