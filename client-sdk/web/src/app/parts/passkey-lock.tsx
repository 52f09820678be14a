/** The switch of the passkey lock, and why there is none where there is none. */

import { useEffect, useState } from 'preact/hooks';

import { Wrong } from './controls.tsx';
import { Notice } from './notices.tsx';
import { whyNoPasskey } from '../../sdk/index.ts';
import type { Household } from '../../sdk/index.ts';
import { sentence, useAction } from '../watched.ts';

/** Locks what this browser keeps with a passkey, or takes the lock off. */
export function PasskeyLock({ household }: { household: Household }) {
  const [on, setOn] = useState<boolean>();
  const [whyNot, setWhyNot] = useState<string>();
  const action = useAction();
  useEffect(() => {
    household.hasLock().then(setOn, () => undefined);
    void whyNoPasskey().then((why) => setWhyNot(why && sentence(why)));
  }, [household]);
  const turn = (wanted: boolean): void =>
    action.run(async () => {
      try {
        await (wanted ? household.lock() : household.takeLockOff());
      } finally {
        setOn(await household.hasLock());
      }
    });
  const none = whyNot !== undefined && on === false;
  return (
    <section class="stack" aria-labelledby="lock">
      <h2 id="lock">{words.title}</h2>
      <p id="lock-what">{words.what}</p>
      {none && <Notice kind="warn">{whyNot}</Notice>}
      <Wrong action={action} />
      <div class="choice">
        <input
          id="lock-switch"
          type="checkbox"
          role="switch"
          checked={on === true}
          disabled={on === undefined || action.busy || none}
          aria-describedby="lock-what"
          onChange={(event) => {
            const wanted = event.currentTarget.checked;
            // It shows what is, not what is asked for.
            event.currentTarget.checked = on === true;
            turn(wanted);
          }}
        />
        <label for="lock-switch">{words.lock}</label>
      </div>
      <p class="soft small" role="status">
        {action.busy ? words.busy : on ? words.isOn : ''}
      </p>
    </section>
  );
}

const words = {
  title: 'Passkey lock',
  what: 'Whoever can use this browser can watch. With the lock on, the app asks for your passkey each time it is opened, and without it what this browser keeps cannot be read. If the passkey is lost, an admin’s invite or the twelve words are the way back.',
  lock: 'Lock with a passkey',
  busy: 'Your browser asks for the passkey …',
  isOn: 'On. The app asks for the passkey when it is opened the next time.',
};
