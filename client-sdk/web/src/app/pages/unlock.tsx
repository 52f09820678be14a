/** What a browser shows whose device is locked with a passkey. */

import { useState } from 'preact/hooks';

import { Ask, Button, Wrong } from '../parts/controls.tsx';
import { Mark } from '../parts/icons.tsx';
import { PageHead } from '../parts/page.tsx';
import type { Locked } from '../../sdk/index.ts';
import { useAction } from '../watched.ts';

/** Asks for the passkey; `onOpen` when what is kept may be read, or was erased. */
export function UnlockPage({ locked, onOpen }: { locked: Locked; onOpen: () => void }) {
  const [asking, setAsking] = useState(false);
  const unlock = useAction();
  const erase = useAction();
  return (
    <>
      <div class="hero">
        <Mark size={56} />
        <PageHead title={words.title} />
        <p>{words.what}</p>
      </div>
      <Wrong action={unlock} />
      <Wrong action={erase} />
      <div class="line centred">
        <Button
          icon="key"
          busy={unlock.busy}
          onPress={() =>
            unlock.run(async () => {
              await locked.unlock();
              onOpen();
            })
          }
        >
          {words.unlock}
        </Button>
      </div>
      <p class="soft small centred">
        {words.lost}{' '}
        <Button kind="bare" busy={erase.busy} onPress={() => setAsking(true)}>
          {words.anew}
        </Button>
      </p>
      {asking && (
        <Ask
          title={words.sure}
          yes={words.erase}
          danger
          onYes={() => {
            setAsking(false);
            erase.run(async () => {
              await locked.erase();
              onOpen();
            });
          }}
          onNo={() => setAsking(false)}
        >
          <p>{words.eraseWhat}</p>
        </Ask>
      )}
    </>
  );
}

const words = {
  title: 'Locked',
  what: 'What this browser keeps of your household is locked with a passkey. Nothing is opened before it answers.',
  unlock: 'Unlock with the passkey',
  lost: 'Lost the passkey?',
  anew: 'Begin anew',
  sure: 'Erase what is locked?',
  eraseWhat:
    'Nobody can open it without the passkey. Once it is erased, join again by an invite of an admin, or become an admin again with the twelve words. The old device stays on the list until an admin removes it.',
  erase: 'Erase and begin anew',
};
