/** What an opened invite link leads to: it joins by itself, unless this browser is in a household already. */

import { useEffect } from 'preact/hooks';

import { Button, Wrong } from '../parts/controls.tsx';
import { Mark } from '../parts/icons.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
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
  const action = useAction();
  const join = (): void =>
    action.run(async () => {
      await household.join(code);
      onDone();
    });
  useEffect(() => {
    if (member === undefined) join();
  }, [code]);

  if (member !== undefined) {
    return (
      <Notice kind="warn" title={words.already}>
        {words.alreadyWhat(member.name)}{' '}
        <Button kind="bare" onPress={onDone}>
          {words.fine}
        </Button>
      </Notice>
    );
  }
  return (
    <>
      <div class="hero">
        <Mark size={56} />
        <PageHead title={words.title} />
        {action.busy && (
          <p class="line soft" role="status">
            <span class="spinner" aria-hidden="true" />
            {words.waiting}
          </p>
        )}
      </div>
      <Wrong action={action} />
      {!action.busy && (
        <div class="line">
          <Button onPress={join}>{words.again}</Button>
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
  already: 'This browser is in a household already.',
  alreadyWhat: (name: string) =>
    `It is “${name}” there. To use the invite, forget this device first (Settings), then open the link again.`,
  fine: 'All right',
};
