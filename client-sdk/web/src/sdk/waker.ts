/** Sleep that ends early when the network comes back or the page is looked at again. */

/** Wakes whoever sleeps on it when something has changed. */
export class Waker {
  #wake: ((changed: boolean) => void) | undefined;
  readonly #onChange = (): void => {
    if (document.visibilityState === 'visible') this.#wake?.(true);
  };

  constructor() {
    addEventListener('online', this.#onChange);
    addEventListener('pageshow', this.#onChange);
    document.addEventListener('visibilitychange', this.#onChange);
    document.addEventListener('resume', this.#onChange);
  }

  /** Resolves after `ms`, or before: with true when network or page came back, with false else. */
  sleep(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = (changed: boolean): void => {
        clearTimeout(timer);
        if (this.#wake === wake) this.#wake = undefined;
        resolve(changed);
      };
      const timer = setTimeout(() => wake(false), ms);
      this.#wake = wake;
    });
  }

  /** Ends the sleep now. */
  wake(): void {
    this.#wake?.(false);
  }

  /** Listens no more, and ends the sleep. */
  end(): void {
    removeEventListener('online', this.#onChange);
    removeEventListener('pageshow', this.#onChange);
    document.removeEventListener('visibilitychange', this.#onChange);
    document.removeEventListener('resume', this.#onChange);
    this.#wake?.(false);
  }
}
