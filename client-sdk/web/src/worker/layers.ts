/** The layers of a picture that is sent in several sizes: each is a stream with an SSRC of its own. */

/** Numbers the streams of one sender in the order in which they begin. */
export class Layers {
  readonly #numbers = new Map<number, number>();

  /** The layer that this stream carries, counted from 0. */
  of(ssrc: number): number {
    const known = this.#numbers.get(ssrc);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(ssrc, number);
    return number;
  }
}
