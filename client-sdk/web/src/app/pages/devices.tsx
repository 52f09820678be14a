/** The devices of the household: who could watch, and removing one. */

import { useState } from 'preact/hooks';

import { Ask, Field, Wrong } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import type { IconName } from '../parts/icons.tsx';
import { day } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { quoted } from '../names.ts';
import type { Device, Household, Removal, Role } from '../../sdk/index.ts';
import { useAction, useWatched } from '../watched.ts';

/** Lists all devices. Admins rename and remove them. */
export function DevicesPage({ household, admin }: { household: Household; admin: boolean }) {
  const { devices, removals, listVersion } = useWatched(household);
  const [removing, setRemoving] = useState<Device>();
  const [naming, setNaming] = useState<Device>();
  const action = useAction();
  const remove = (device: Device): void =>
    action.run(async () => {
      setRemoving(undefined);
      await household.remove(device.id);
    });
  const guests = devices.filter((device) => device.role === 'guest');
  const others = devices.filter((device) => device.role !== 'guest');
  const cameraNames = new Map(devices.map((device) => [device.id, device.name]));
  const rows = (all: readonly Device[]) => (
    <ul class="rows">
      {all.map((device) => (
        <Row
          key={device.id}
          device={device}
          cameraNames={cameraNames}
          admin={admin}
          onRemove={() => setRemoving(device)}
          onName={() => setNaming(device)}
        />
      ))}
    </ul>
  );
  return (
    <>
      <PageHead title={words.title}>
        {admin && (
          <a class="button" href="#/add">
            <Icon name="add" />
            {words.add}
          </a>
        )}
      </PageHead>
      <p class="soft">{words.what(listVersion)}</p>
      <Wrong action={action} />
      <div role="status" class="stack">
        {removals.map((removal) => (
          <Progress key={removal.device} removal={removal} />
        ))}
      </div>
      {rows(others)}
      <section class="stack" aria-labelledby="guests">
        <h2 id="guests">{words.guests}</h2>
        {guests.length === 0 ? <p class="soft">{words.noGuests}</p> : rows(guests)}
      </section>
      {removing && (
        <Ask
          title={words.removeTitle(removing.name)}
          yes={words.remove}
          danger
          busy={action.busy}
          onYes={() => remove(removing)}
          onNo={() => setRemoving(undefined)}
        >
          <p>{removing.role === 'camera' ? words.removeCamera : words.removeWhat}</p>
          {removing.this && <p>{words.removeThis}</p>}
        </Ask>
      )}
      {naming && <Name household={household} device={naming} onDone={() => setNaming(undefined)} />}
    </>
  );
}

function Row(props: {
  device: Device;
  cameraNames: ReadonlyMap<string, string>;
  admin: boolean;
  onRemove: () => void;
  onName: () => void;
}) {
  const { device, cameraNames, admin } = props;
  const facts = [
    words.roles[device.role],
    device.cameras && words.sees(device.cameras.map((id) => cameraNames.get(id) ?? id)),
    device.ends !== null && words.until(day(device.ends)),
    words.since(day(device.since)),
  ].filter(Boolean);
  return (
    <li data-device={device.id}>
      <Icon name={ICONS[device.role]} size={24} />
      <div class="what">
        <strong>
          <bdi>{device.name}</bdi> {device.this && <span class="badge plain">{words.this}</span>}
        </strong>
        <span class="soft small">{facts.join(' · ')}</span>
      </div>
      {admin && (
        <div class="acts">
          <Act icon="edit" say={words.rename} of={device.name} onPress={props.onName} />
          <Act icon="trash" say={words.remove} of={device.name} onPress={props.onRemove} />
        </div>
      )}
    </li>
  );
}

/** What may be done with a device: a word where there is room for it, its icon alone on a phone. */
function Act(props: { icon: IconName; say: string; of: string; onPress: () => void }) {
  return (
    <button type="button" class="button quiet" title={props.say} onClick={props.onPress}>
      <Icon name={props.icon} />
      <span class="if-room">{props.say}</span>
      <span class="for-readers"> {props.of}</span>
    </button>
  );
}

function Progress({ removal }: { removal: Removal }) {
  const pending = removal.cameras.filter((camera) => camera.epoch === null);
  return (
    <section class="card stack tight" data-removal={removal.device}>
      <h2>
        {pending.length === 0 && removal.cameras.length > 0
          ? words.gone(removal.name)
          : words.going(removal.name)}
      </h2>
      <ul class="stack tight">
        {removal.cameras.length === 0 && <li class="soft">{words.signed}</li>}
        {removal.cameras.map((camera) => (
          <li key={camera.camera} class="with-icon">
            <Icon name={camera.epoch === null ? 'clock' : 'check'} />
            <span>
              {camera.epoch === null
                ? words.pending(camera.cameraName, camera.reason)
                : words.removedAt(camera.cameraName, camera.epoch)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Name(props: { household: Household; device: Device; onDone: () => void }) {
  const [name, setName] = useState(props.device.name);
  const action = useAction();
  const save = (): void => {
    if (name.trim() === props.device.name) return props.onDone();
    if (name.trim() === '') return action.refuse(words.noName);
    action.run(async () => {
      await props.household.rename(props.device.id, name.trim());
      props.onDone();
    });
  };
  return (
    <Ask title={words.rename} yes={words.save} busy={action.busy} onYes={save} onNo={props.onDone}>
      <Field
        label={words.newName}
        value={name}
        onInput={setName}
        wrong={action.wrong}
        input={{ maxLength: 64, autocomplete: 'off', dir: 'auto' }}
      />
    </Ask>
  );
}

/** Cameras of a guest that are named; of more, the rest are counted. */
const MOST_NAMED = 3;

const ICONS: Record<Role, IconName> = { admin: 'key', camera: 'camera', guest: 'clock', viewer: 'device' };

const words = {
  title: 'Devices',
  what: (version: number) =>
    `Everyone who could watch. This is signed list ${version}; nobody can be missing from it.`,
  add: 'Add a device',
  guests: 'Guests',
  noGuests: 'No guests. A guest sees the cameras you name, for the days you name.',
  this: 'This device',
  roles: { admin: 'Admin', camera: 'Camera', guest: 'Guest', viewer: 'Viewer' },
  sees: (cameras: readonly string[]) =>
    cameras.length > MOST_NAMED
      ? `sees ${cameras.slice(0, MOST_NAMED - 1).join(', ')} and ${cameras.length - MOST_NAMED + 1} more cameras`
      : `sees ${cameras.join(', ') || 'no camera'}`,
  until: (when: string) => `until ${when}`,
  since: (when: string) => `since ${when}`,
  rename: 'Rename',
  newName: 'New name',
  noName: 'Give it a name.',
  save: 'Save',
  remove: 'Remove',
  removeTitle: (name: string) => `Remove ${quoted(name)}?`,
  removeWhat: 'Every camera changes its keys at once. The device opens nothing that is sent after that.',
  removeCamera: 'Nobody of the household can watch it any more. It can be added again later.',
  removeThis: 'This is the device you are holding.',
  going: (name: string) => `Removing ${quoted(name)}`,
  gone: (name: string) => `${quoted(name)} is removed`,
  signed: 'The list is signed. Waiting for the cameras to change their keys …',
  removedAt: (camera: string, epoch: number) => `${camera}: removed at epoch ${epoch}.`,
  pending: (camera: string, reason: string | null) =>
    `${camera}: removal pending${reason ? ` (${reason})` : ''}.`,
};
