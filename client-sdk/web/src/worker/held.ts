/** Frames that wait for keys or leave: for a while and up to a size, no longer and no more. */

/** Frames in the order they came, with the time of each. */
export class Held<Frame> {
  readonly #frames: { frame: Frame; bytes: number; since: number }[] = [];
  #bytes = 0;

  /** Keeps a frame; returns how many older ones had to go to make room. */
  keep(frame: Frame, bytes: number, now: number): number {
    this.#frames.push({ frame, bytes, since: now });
    this.#bytes += bytes;
    let gone = 0;
    while (this.#bytes > MOST_BYTES && this.#drop()) gone += 1;
    return gone;
  }

  /** Lets go of frames that have waited too long; returns how many. */
  expire(now: number): number {
    let gone = 0;
    while (now - (this.#frames[0]?.since ?? now) >= LONGEST_WAIT && this.#drop()) gone += 1;
    return gone;
  }

  /** Takes frames out, oldest first, as long as `pass` says that one has gone its way. */
  drain(pass: (frame: Frame) => boolean): void {
    for (let first = this.#frames[0]; first !== undefined && pass(first.frame); first = this.#frames[0]) {
      this.#drop();
    }
  }

  /** Returns whether no frame waits. */
  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  #drop(): boolean {
    const oldest = this.#frames.shift();
    this.#bytes -= oldest?.bytes ?? 0;
    return oldest !== undefined;
  }
}

/** Milliseconds. */
const LONGEST_WAIT = 2_000;
const MOST_BYTES = 4 << 20;
