/** How long a connection may stay silent, and how long to wait before the next try. Pure: time is an argument. */

/** Decides when a media connection is given up. Times are in milliseconds of one monotonic clock. */
export class Patience {
  #since: number;
  #live = false;
  #secured = false;
  /** Longest gap between packets seen lately, fading. */
  #gap = 0;

  constructor(now: number) {
    this.#since = now;
  }

  /** The hop to the relay is secured (DTLS): packets may come. */
  secured(now: number): void {
    this.#secured = true;
    if (!this.#live) this.#since = now;
  }

  /** Packets have come since the last look. */
  packets(now: number): void {
    if (this.#live) this.#gap = Math.max(this.#gap - this.#gap / 64, now - this.#since);
    this.#live = true;
    this.#since = now;
  }

  /** The page slept: time during which nobody could look does not count, but the next second does. */
  awoke(now: number): void {
    this.#since = now;
    this.#gap = 0;
  }

  /** When it is given up, unless packets come before. */
  ends(): number {
    if (this.#live) return this.#since + Math.min(Math.max(this.#gap * 3, SILENCE), LONGEST_SILENCE);
    return this.#since + (this.#secured ? FIRST_PACKET_LIMIT : SECURED_LIMIT);
  }

  /** Why it was given up, in words. */
  reason(now: number): string {
    const seconds = (now - this.#since) / 1000;
    if (this.#live) return `no packet for ${seconds.toFixed(1)} s`;
    if (this.#secured) return `no packet within ${seconds.toFixed(0)} s of connecting`;
    return `no answer over UDP within ${seconds.toFixed(0)} s`;
  }
}

/** Waits that grow with each failure: a quarter of a second, doubling to four, each between half of that and all of it. */
export class Backoff {
  #failures = 0;

  /** Returns the next wait in milliseconds; `random` is between 0 and 1. */
  next(random: number): number {
    const whole = Math.min(FIRST_WAIT * 2 ** this.#failures, LONGEST_WAIT);
    this.#failures += 1;
    return whole * (0.5 + random / 2);
  }

  /** Something worked, or the network is back. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Silence after which a live session is made anew, for a camera with at least 3 pictures a second. */
const SILENCE = 1_000;
/** The same for the slowest camera. */
const LONGEST_SILENCE = 5_000;
/** How long the first packet may take after the hop is secured. */
const FIRST_PACKET_LIMIT = 5_000;
/** How long ICE and DTLS may take together. */
const SECURED_LIMIT = 10_000;
const FIRST_WAIT = 250;
const LONGEST_WAIT = 4_000;
