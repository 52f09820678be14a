/** An invite that this device shows and the new one opens. */

import { useEffect, useState } from 'preact/hooks';

import { Button, Copy, Wrong } from '../../parts/controls.tsx';
import { Notice, clock } from '../../parts/notices.tsx';
import { QrCode } from '../../parts/qr.tsx';
import { Waits } from '../../parts/waits.tsx';
import { quoted } from '../../names.ts';
import { inviteLink } from '../../route.ts';
import type { Household, Terms } from '../../../sdk/index.ts';
import { sentence, useAction, useWatched } from '../../watched.ts';
import { Done } from './done.tsx';

/** Makes an invite, shows it, and waits until somebody has used it. */
export function Invite(props: { household: Household; terms: Terms; onBack: () => void }) {
  const { household, terms, onBack } = props;
  const { invite } = useWatched(household);
  const [link, setLink] = useState<string>();
  const [ends, setEnds] = useState(0);
  const action = useAction();
  const make = (): void =>
    action.run(async () => {
      setLink(inviteLink(location.href, await household.invite(terms)));
      setEnds(Date.now() + LIFETIME);
    });
  useEffect(make, []);

  if (invite?.admitted) return <Done name={terms.name} />;
  return (
    <>
      <Wrong action={action} />
      {invite?.reason && (
        <div role="alert">
          <Notice kind="warn">{sentence(invite.reason)}</Notice>
        </div>
      )}
      {link && invite === undefined && (
        <div class="stack">
          <p>{words.tell(terms.name)}</p>
          <QrCode text={link} label={words.qr} />
          <div class="line">
            <Copy text={link} say={words.copy} />
          </div>
          <p class="soft small">{words.once(clock(ends))}</p>
          <Waits say={words.waits} />
        </div>
      )}
      <div class="line">
        {(invite?.reason || action.wrong) && (
          <Button busy={action.busy} onPress={make}>
            {words.anew}
          </Button>
        )}
        <Button kind="quiet" onPress={onBack}>
          {words.back}
        </Button>
      </div>
    </>
  );
}

/** How long an invite is good, in milliseconds. */
const LIFETIME = 600_000;

const words = {
  tell: (name: string) => `Scan this with ${quoted(name)}, or open the link there.`,
  qr: 'QR code of the invite link',
  copy: 'Copy the link',
  once: (until: string) =>
    `Good once, until ${until}, while this page is open. Whoever opens it first gets in: show it to nobody else.`,
  waits: 'Waiting for the device …',
  anew: 'Make a new invite',
  back: 'Back',
};
