/** Who watches a camera, as far as devices say so themselves. */

import { Icon } from './icons.tsx';
import type { Watcher } from '../../sdk/index.ts';

/** Lists the devices; `nobody` is said when there are none. */
export function Watchers({ watchers, nobody }: { watchers: readonly Watcher[]; nobody: string }) {
  if (watchers.length === 0) return <p class="soft">{nobody}</p>;
  return (
    <ul class="stack tight">
      {watchers.map((watcher) => (
        <li key={watcher.device} class="with-icon">
          <Icon name="eye" />
          <bdi>{watcher.name}</bdi>
        </li>
      ))}
    </ul>
  );
}
