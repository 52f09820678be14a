/** A camera of the household. */

import type { WorkerLink } from './link.ts';
import { Viewer } from './viewer.ts';

/** One camera that this device may see. */
export class Camera {
  /** Its id. */
  readonly id: string;
  /** What the household calls it. */
  readonly name: string;
  readonly #link: WorkerLink;

  constructor(link: WorkerLink, id: string, name: string) {
    this.#link = link;
    this.id = id;
    this.name = name;
  }

  /** Begins to watch. Stop the viewer when it is no longer looked at. */
  watch(): Viewer {
    return Viewer.start(this.#link, this.id);
  }
}
