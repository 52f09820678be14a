/** Hooks: state of the SDK inside a page, and actions that may fail. */

import { useCallback, useEffect, useReducer, useRef, useState } from 'preact/hooks';

/** Something of the SDK that can be watched. */
interface Watchable<State> {
  readonly state: State;
  subscribe(listener: () => void): () => void;
}

/** Returns the state now, and draws again when it changes. */
export function useWatched<State>(watchable: Watchable<State>): State {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    // It may have changed before anybody listened.
    redraw(undefined);
    return watchable.subscribe(() => redraw(undefined));
  }, [watchable]);
  return watchable.state;
}

/** An action that takes its time and may fail. */
export interface Action {
  /** It is under way. */
  busy: boolean;
  /** Why it failed the last time; undefined when it did not. */
  wrong: string | undefined;
  /** Does it; what was wrong before is forgotten. */
  run(what: () => Promise<void>): void;
  /** Says what is wrong without doing anything. */
  refuse(why: string | undefined): void;
}

/** Returns an action that runs one thing at a time. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [wrong, refuse] = useState<string | undefined>();
  const running = useRef(false);
  const here = useRef(true);
  useEffect(() => {
    here.current = true;
    return () => void (here.current = false);
  }, []);
  const run = useCallback((what: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    refuse(undefined);
    what()
      .catch((error: unknown) => {
        if (here.current) refuse(sentence(error));
      })
      .finally(() => {
        running.current = false;
        if (here.current) setBusy(false);
      });
  }, []);
  return { busy, wrong, run, refuse };
}

/** Returns what went wrong as a sentence: upper case first, full stop last, names in the page's quotation marks. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const first = (text.charAt(0).toUpperCase() + text.slice(1)).replace(/"([^"]+)"/g, '“$1”');
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
