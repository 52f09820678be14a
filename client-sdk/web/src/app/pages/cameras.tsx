/** The list of cameras. */

import { useEffect, useState } from 'preact/hooks';

import { Icon } from '../parts/icons.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import type { Household } from '../../sdk/index.ts';
import { sentence, useWatched } from '../watched.ts';

/** Every camera that this device may see. */
export function CamerasPage({ household, admin }: { household: Household; admin: boolean }) {
  const { cameras } = useWatched(household);
  const [wrong, setWrong] = useState<string>();
  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState !== 'visible') return;
      household.lookForCameras().then(
        () => setWrong(undefined),
        (error: unknown) => setWrong(navigator.onLine ? sentence(error) : words.offline),
      );
    };
    look();
    const timer = setInterval(look, LOOK_EVERY);
    return () => clearInterval(timer);
  }, [household]);
  return (
    <>
      <PageHead title={words.title}>
        {admin && (
          <a class="button quiet" href="#/add">
            <Icon name="add" />
            {words.add}
          </a>
        )}
      </PageHead>
      <div role="status">{wrong && <Notice kind="warn">{wrong}</Notice>}</div>
      {cameras === undefined && !wrong && <p class="soft">{words.looking}</p>}
      {cameras?.length === 0 && (
        <Notice icon="camera" title={words.none}>
          {admin ? words.noneAdmin : words.noneOther}
        </Notice>
      )}
      <ul class="cameras">
        {cameras?.map((camera) => (
          <li key={camera.id}>
            <a href={`#/camera/${camera.id}`}>
              <span class="picture">
                <Icon name={camera.live === false ? 'gone' : 'camera'} size={36} />
              </span>
              <strong>
                <bdi>{camera.name}</bdi>
              </strong>
              {camera.live !== null && (
                <span class={`soft small ${camera.live ? 'on' : ''}`}>
                  {camera.live ? words.live : words.off}
                </span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

/** How often it is looked which cameras are connected, in milliseconds. */
const LOOK_EVERY = 5_000;

const words = {
  title: 'Cameras',
  add: 'Add a camera',
  offline: 'This device has no network. The cameras are looked for again by themselves.',
  looking: 'Looking for cameras …',
  none: 'No camera yet.',
  noneAdmin:
    'Add one: an old phone or laptop will do. Open this app there and choose “Join a household”, “Be a camera”.',
  noneOther: 'An admin of the household can add one, or let this device see one.',
  live: 'On',
  off: 'Off',
};
