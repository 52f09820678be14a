/** The first page: make a household, or join one. */

import { Choices } from '../parts/choices.tsx';
import type { Choice } from '../parts/choices.tsx';
import { Mark } from '../parts/icons.tsx';
import { PageHead } from '../parts/page.tsx';
import { addressOf } from '../route.ts';

/** What a browser shows that belongs to no household. */
export function WelcomePage() {
  return (
    <>
      <div class="hero">
        <Mark size={64} />
        <PageHead title={words.title} />
        <p class="soft">{words.what}</p>
      </div>
      <Choices of={WAYS} addressOf={(page) => addressOf({ page })} />
      <p class="soft small centred">
        {words.lost} <a href="#/recover">{words.recover}</a>
      </p>
    </>
  );
}

const WAYS: readonly Choice<'found' | 'join'>[] = [
  { value: 'found', icon: 'house', name: 'Make a household', what: 'This is the first device.' },
  {
    value: 'join',
    icon: 'scan',
    name: 'Join a household',
    what: 'By QR code, invite link, or six digits.',
  },
];

const words = {
  title: 'Latchkey',
  what: 'Your cameras, for your eyes only. Every frame is sealed at the camera and opened on your devices; no server in between can look.',
  lost: 'Lost every device?',
  recover: 'Use the twelve words',
};
