/** The end of adding a device: it is in the household. */

import { Notice } from '../../parts/notices.tsx';
import { quoted } from '../../names.ts';

/** Says so, and leads to the list. */
export function Done({ name }: { name: string }) {
  return (
    <>
      <div role="status">
        <Notice icon="check">{words.added(name)}</Notice>
      </div>
      <div class="line">
        <a class="button" href="#/devices">
          {words.toDevices}
        </a>
      </div>
    </>
  );
}

const words = {
  added: (name: string) => `${quoted(name)} is in the household.`,
  toDevices: 'See all devices',
};
