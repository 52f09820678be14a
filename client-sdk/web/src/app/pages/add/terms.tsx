/** What a new device will be: its role, its name, and for a guest the cameras and the days. */

import { useState } from 'preact/hooks';

import { Choose, Field, Form, Tick } from '../../parts/controls.tsx';
import type { Household, Role, Terms } from '../../../sdk/index.ts';
import { useAction, useWatched } from '../../watched.ts';

/** Asks for it; `onTerms` when all of it is said. */
export function TermsForm({ household, onTerms }: { household: Household; onTerms: (terms: Terms) => void }) {
  const { cameras = [] } = useWatched(household);
  const [role, setRole] = useState<Role>('viewer');
  const [name, setName] = useState('');
  const [days, setDays] = useState('7');
  const [named, setNamed] = useState<readonly string[]>([]);
  const action = useAction();
  const submit = (): void => {
    if (name.trim() === '') return action.refuse(words.noName);
    const guest = role === 'guest';
    const stays = Number(days);
    if (guest && !(Number.isInteger(stays) && stays >= 1 && stays <= 30))
      return action.refuse(words.wrongDays);
    if (guest && named.length === 0) return action.refuse(words.noCamera);
    action.refuse(undefined);
    onTerms({
      role,
      name: name.trim(),
      rights: guest ? ['see'] : null,
      cameras: guest ? [...named] : null,
      days: guest ? stays : null,
    });
  };
  return (
    <Form action={action} say={words.next} cancel={toDevices} onSubmit={submit}>
      <Choose
        label={words.role}
        value={role}
        options={[
          ['viewer', words.roles.viewer],
          ['camera', words.roles.camera],
          ['guest', words.roles.guest],
          ['admin', words.roles.admin],
        ]}
        hint={words.roleHints[role]}
        onChoose={setRole}
      />
      <Field
        label={words.name}
        value={name}
        onInput={setName}
        input={{ autocomplete: 'off', maxLength: 64, dir: 'auto' }}
      />
      {role === 'guest' && (
        <>
          <Field
            label={words.days}
            value={days}
            onInput={setDays}
            input={{ type: 'number', min: 1, max: 30, inputMode: 'numeric' }}
          />
          <fieldset class="field">
            <legend>{words.cameras}</legend>
            {cameras.length === 0 && <p class="soft">{words.noCameras}</p>}
            {cameras.map((camera) => (
              <Tick
                key={camera.id}
                label={camera.name}
                on={named.includes(camera.id)}
                onChange={(on) =>
                  setNamed(on ? [...named, camera.id] : named.filter((id) => id !== camera.id))
                }
              />
            ))}
          </fieldset>
        </>
      )}
    </Form>
  );
}

function toDevices(): void {
  location.hash = '#/devices';
}

const words = {
  role: 'It will be',
  roles: { admin: 'An admin', camera: 'A camera', guest: 'A guest', viewer: 'A viewer' },
  roleHints: {
    admin: 'Watches all cameras, adds and removes devices.',
    camera: 'Sends picture and sound to the household.',
    guest: 'Watches the cameras you choose, for as many days as you say.',
    viewer: 'Watches all cameras.',
  },
  name: 'Its name',
  noName: 'Give it a name first.',
  days: 'Days it stays (1 to 30)',
  wrongDays: 'A guest stays 1 to 30 days.',
  cameras: 'Cameras it may see',
  noCameras: 'There is no camera yet.',
  noCamera: 'Choose at least one camera.',
  next: 'Next',
};
