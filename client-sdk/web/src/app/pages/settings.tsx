/** Settings: this device, its server, the twelve words, and forgetting all of it. */

import { useState } from 'preact/hooks';

import { Ask, Button, Wrong } from '../parts/controls.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { PasskeyLock } from '../parts/passkey-lock.tsx';
import { isServedBy } from '../server.ts';
import type { Household, Member, Role } from '../../sdk/index.ts';
import { useAction } from '../watched.ts';

/** What this device is, and what can be done with it. */
export function SettingsPage({ household, member }: { household: Household; member: Member }) {
  const [asking, setAsking] = useState(false);
  const forget = useAction();
  return (
    <div class="stack wide settings">
      <PageHead title={words.title} />
      <section class="card stack" aria-labelledby="this">
        <h2 id="this">{words.this}</h2>
        <dl class="stack tight">
          {[
            [words.name, member.name],
            [words.role, member.role ? words.roles[member.role] : words.none],
            [words.server, member.server],
            [words.id, member.device],
            [words.household, member.household],
          ].map(([name, value]) => (
            <div key={name}>
              <dt class="soft small">{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section class="stack" aria-labelledby="page">
        <h2 id="page">{words.page}</h2>
        <Notice {...(isServedBy(member.server) ? { kind: 'warn' as const } : {})}>
          {isServedBy(member.server) ? words.sameOrigin : words.otherOrigin}
        </Notice>
      </section>
      <PasskeyLock household={household} />
      <section class="stack" aria-labelledby="words">
        <h2 id="words">{words.twelve}</h2>
        <p>{words.twelveWhat}</p>
      </section>
      <section class="stack" aria-labelledby="forget">
        <h2 id="forget">{words.forgetTitle}</h2>
        <p>{words.forgetWhat}</p>
        <Wrong action={forget} />
        <div class="line">
          <Button kind="danger" icon="trash" busy={forget.busy} onPress={() => setAsking(true)}>
            {words.forget}
          </Button>
        </div>
      </section>
      {asking && (
        <Ask
          title={words.sure}
          yes={words.forget}
          danger
          onYes={() => {
            setAsking(false);
            forget.run(() => household.forget());
          }}
          onNo={() => setAsking(false)}
        >
          <p>{words.forgetWhat}</p>
        </Ask>
      )}
    </div>
  );
}

const words = {
  title: 'Settings',
  this: 'This device',
  name: 'Name',
  role: 'Role',
  roles: { admin: 'Admin', camera: 'Camera', guest: 'Guest', viewer: 'Viewer' } satisfies Record<
    Role,
    string
  >,
  none: 'Not on the list',
  server: 'Server',
  id: 'Device id',
  household: 'Household id',
  page: 'Where this page comes from',
  sameOrigin:
    'This page came from the household’s own server. Whoever runs that server could change the page, and a changed page could show your keys to them. If somebody else runs it, open the app from a host that you trust.',
  otherOrigin:
    'This page came from another host than the household’s server. The server carries sealed frames and cannot change what runs here.',
  twelve: 'The twelve words',
  twelveWhat:
    'They were shown once when the household was made, and are kept nowhere, so nobody can show them again. If the paper is lost, make a new household while you still have this one.',
  forgetTitle: 'Forget this device',
  forgetWhat:
    'Erases all keys in this browser. It stays on the list until an admin removes it. Without another admin, only the twelve words bring the household back.',
  forget: 'Forget this device',
  sure: 'Forget this device?',
};
