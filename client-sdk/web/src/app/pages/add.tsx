/** Adds a device: what it will be, then how it and this one meet. */

import { useEffect, useState } from 'preact/hooks';

import { Button } from '../parts/controls.tsx';
import { Choices } from '../parts/choices.tsx';
import type { Choice } from '../parts/choices.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { quoted } from '../names.ts';
import type { Household, Terms } from '../../sdk/index.ts';
import { Invite } from './add/invite.tsx';
import { LetIn } from './add/let-in.tsx';
import { TermsForm } from './add/terms.tsx';

type Way = 'invite' | 'code' | 'number';

/** Adds a device. Only an admin's device can. */
export function AddPage({ household, admin }: { household: Household; admin: boolean }) {
  const [terms, setTerms] = useState<Terms>();
  const [way, setWay] = useState<Way>();
  const backToWays = (): void => {
    void household.cancel().catch(() => undefined);
    setWay(undefined);
  };
  useEffect(() => () => void household.cancel().catch(() => undefined), [household]);
  return (
    <>
      <PageHead title={words.title} />
      {!admin && <Notice>{words.notAdmin}</Notice>}
      {admin && terms === undefined && <TermsForm household={household} onTerms={setTerms} />}
      {terms && way === undefined && (
        <>
          <p>{words.how(terms.name)}</p>
          <Choices of={WAYS} onChoose={setWay} />
          <div class="line">
            <Button kind="quiet" onPress={() => setTerms(undefined)}>
              {words.back}
            </Button>
          </div>
        </>
      )}
      {terms && way === 'invite' && <Invite {...{ household, terms }} onBack={backToWays} />}
      {terms && (way === 'code' || way === 'number') && (
        <LetIn {...{ household, terms }} by={way} onBack={backToWays} />
      )}
    </>
  );
}

const WAYS: readonly Choice<Way>[] = [
  {
    value: 'invite',
    icon: 'key',
    name: 'Show an invite here',
    what: 'The new device scans a QR code, or opens a link.',
  },
  {
    value: 'code',
    icon: 'scan',
    name: 'It shows a code',
    what: 'Scan or paste what the new device shows.',
  },
  {
    value: 'number',
    icon: 'numbers',
    name: 'It shows a number',
    what: 'Type it here, then compare six digits.',
  },
];

const words = {
  title: 'Add a device',
  notAdmin: 'Only an admin’s device can add others.',
  how: (name: string) => `How do ${quoted(name)} and this device meet?`,
  back: 'Back',
};
