/** What a device shows that is no longer on the household's list. */

import { Button, Wrong } from '../parts/controls.tsx';
import { Mark } from '../parts/icons.tsx';
import { PageHead } from '../parts/page.tsx';
import { quoted } from '../names.ts';
import type { Household, Member } from '../../sdk/index.ts';
import { useAction } from '../watched.ts';

/** Says that this device was removed, and lets it begin anew. */
export function RemovedPage({ household, member }: { household: Household; member: Member }) {
  const forget = useAction();
  return (
    <>
      <div class="hero">
        <Mark size={56} />
        <PageHead title={words.title} />
        <p>{words.what(member.name)}</p>
      </div>
      <Wrong action={forget} />
      <div class="line centred">
        <Button busy={forget.busy} onPress={() => forget.run(() => household.forget())}>
          {words.anew}
        </Button>
      </div>
    </>
  );
}

const words = {
  title: 'This device was removed',
  what: (name: string) =>
    `${quoted(name)} is not on the household’s list any more, so nothing that a camera sends opens here. If that was a mistake, ask an admin for a new invite.`,
  anew: 'Forget it and begin anew',
};
