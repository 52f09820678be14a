/** What an opened invite link leads to: it joins by itself, unless this browser is in a household already. */

import { useEffect, useState } from 'preact/hooks';

import { Button, Wrong } from '../parts/controls.tsx';
import { Mark } from '../parts/icons.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { Waits } from '../parts/waits.tsx';
import { quoted } from '../names.ts';
import { Failure } from '../../sdk/index.ts';
import type { Household, Member } from '../../sdk/index.ts';
import { useAction } from '../watched.ts';

/** Joins by the invite of a link. */
export function InvitedPage(props: {
  household: Household;
  code: string;
  member: Member | undefined;
  onDone: () => void;
}) {
  const { household, code, member, onDone } = props;
  const [used, setUsed] = useState(false);
  const action = useAction();
  const join = (): void =>
    action.run(async () => {
      try {
        await household.join(code);
        onDone();
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== 'code-used') throw error;
        setUsed(true);
      }
    });
  useEffect(() => {
    if (member === undefined) join();
  }, [code]);

  if (member !== undefined) {
    return (
      <Notice kind="warn" title={words.already}>
        {words.alreadyWhat(member.name)}
        <div class="acts">
          <Button kind="quiet" onPress={onDone}>
            {words.fine}
          </Button>
        </div>
      </Notice>
    );
  }
  return (
    <>
      <div class="hero">
        <Mark size={56} />
        <PageHead title={used ? words.used : words.title} />
        {action.busy && <Waits say={words.waiting} />}
        {used && <p role="alert">{words.usedWhat}</p>}
      </div>
      <Wrong action={action} />
      {!action.busy && (
        <div class="line centred">
          {!used && <Button onPress={join}>{words.again}</Button>}
          <Button kind="quiet" onPress={onDone}>
            {words.back}
          </Button>
        </div>
      )}
    </>
  );
}

const words = {
  title: 'Joining the household',
  waiting: 'Waiting for the admin’s device to answer …',
  again: 'Try again',
  back: 'Back',
  used: 'This invite has been used already',
  usedWhat:
    'An invite lets one device in, once. For a new one, an admin of the household opens “Devices” in the app and chooses “Add a device”.',
  already: 'This browser is in a household already.',
  alreadyWhat: (name: string) =>
    `It is ${quoted(name)} there. To use the invite, forget this device first (Settings), then open the link again.`,
  fine: 'Stay here',
};
