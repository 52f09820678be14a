/** The whole app: which page shows, and the frame around it. */

import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';

import { AddPage } from './pages/add.tsx';
import { CameraPage } from './pages/camera.tsx';
import { CamerasPage } from './pages/cameras.tsx';
import { DevicesPage } from './pages/devices.tsx';
import { FoundPage } from './pages/found.tsx';
import { InvitedPage } from './pages/invited.tsx';
import { JoinPage } from './pages/join.tsx';
import { OwnCameraPage } from './pages/own-camera.tsx';
import { RecoverPage } from './pages/recover.tsx';
import { RemovedPage } from './pages/removed.tsx';
import { SafetyPage } from './pages/safety.tsx';
import { SettingsPage } from './pages/settings.tsx';
import { UnlockPage } from './pages/unlock.tsx';
import { WelcomePage } from './pages/welcome.tsx';
import { Icon, Mark } from './parts/icons.tsx';
import type { IconName } from './parts/icons.tsx';
import { Saids } from './parts/notices.tsx';
import { Button } from './parts/controls.tsx';
import { addressOf, inviteIn, routeOf } from './route.ts';
import type { Route } from './route.ts';
import { Household } from '../sdk/index.ts';
import type { Locked, Member } from '../sdk/index.ts';
import { sentence, useWatched } from './watched.ts';

/** The app. `start` makes the worker that holds the keys. */
export function App({ start }: { start: () => Worker }) {
  const [household, setHousehold] = useState<Household>();
  const [wrong, setWrong] = useState<string>();
  const [locked, setLocked] = useState<{ locked: Locked; onOpen: () => void }>();
  const open = useCallback(() => {
    setWrong(undefined);
    const whenLocked = (locked: Locked): Promise<void> =>
      new Promise((resolve) => {
        const onOpen = (): void => {
          setLocked(undefined);
          resolve();
        };
        setLocked({ locked, onOpen });
      });
    Household.open(start(), whenLocked).then(setHousehold, (error: unknown) => setWrong(sentence(error)));
  }, [start]);
  useEffect(open, [open]);

  if (household) return <Inside household={household} />;
  if (locked) {
    return (
      <Alone>
        <UnlockPage {...locked} />
      </Alone>
    );
  }
  return (
    <Alone>
      <div class="hero">
        <Mark size={56} />
        <h1>Latchkey</h1>
        {wrong ? <p role="alert">{wrong}</p> : <p class="soft">{words.opening}</p>}
        {wrong && <Button onPress={open}>{words.again}</Button>}
      </div>
    </Alone>
  );
}

function Inside({ household }: { household: Household }) {
  const { standing, alarms, notices } = useWatched(household);
  const [route, setRoute] = useState<Route>(() => routeOf(location.hash));
  const [invite, setInvite] = useState<string | undefined>(takeInvite);

  useEffect(() => {
    const follow = (): void => {
      const code = takeInvite();
      if (code !== undefined) setInvite(code);
      setRoute(routeOf(location.hash));
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);

  const done = useCallback(() => {
    setInvite(undefined);
    // Somebody who is on another page by now stays there.
    if (!FIRST.includes(routeOf(location.hash).page)) return;
    const { cameras = [], standing: now } = household.state;
    const [only] = cameras;
    const watches = now?.is === 'member' && now.role !== 'camera';
    go(watches && cameras.length === 1 && only ? { page: 'camera', id: only.id } : { page: 'cameras' });
  }, [household]);

  if (standing?.is !== 'member') {
    return <Alone>{outside(household, route, invite, done)}</Alone>;
  }
  if (standing.role === null) {
    return (
      <Alone>
        <RemovedPage household={household} member={standing} />
      </Alone>
    );
  }
  return (
    <Frame route={route} member={standing}>
      <Saids household={household} alarms={alarms} notices={notices} />
      {invite !== undefined && (
        <InvitedPage household={household} code={invite} member={standing} onDone={done} />
      )}
      {page(household, route, standing)}
    </Frame>
  );
}

function outside(household: Household, route: Route, invite: string | undefined, done: () => void) {
  if (invite !== undefined) {
    return <InvitedPage household={household} code={invite} member={undefined} onDone={done} />;
  }
  switch (route.page) {
    case 'found':
      return <FoundPage household={household} onDone={done} />;
    case 'join':
      return <JoinPage household={household} onDone={done} />;
    case 'recover':
      return <RecoverPage household={household} onDone={done} />;
    default:
      return <WelcomePage />;
  }
}

function page(household: Household, route: Route, member: Member) {
  switch (route.page) {
    case 'camera':
      return <CameraPage key={route.id} household={household} id={route.id} />;
    case 'devices':
      return <DevicesPage household={household} admin={member.role === 'admin'} />;
    case 'add':
      return <AddPage household={household} admin={member.role === 'admin'} />;
    case 'safety':
      return <SafetyPage household={household} />;
    case 'settings':
      return <SettingsPage household={household} member={member} />;
    default:
      return member.role === 'camera' ? (
        <OwnCameraPage household={household} member={member} />
      ) : (
        <CamerasPage household={household} admin={member.role === 'admin'} />
      );
  }
}

function Frame(props: { route: Route; member: Member; children: ComponentChildren }) {
  const { route, member, children } = props;
  const here = route.page === 'camera' ? 'cameras' : route.page === 'add' ? 'devices' : route.page;
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => toMain(event)}>
        {words.skip}
      </a>
      <header>
        <a class="mark" href="#/">
          <Mark />
          Latchkey
        </a>
        <nav aria-label={words.pages}>
          <ul>
            {NAV.map(([to, icon, text]) => (
              <li key={to}>
                <a href={addressOf({ page: to })} aria-current={here === to ? 'page' : undefined}>
                  <Icon name={icon} />
                  {to === 'cameras' && member.role === 'camera' ? words.ownCamera : text}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Alone({ children }: { children: ComponentChildren }) {
  return (
    <div class="alone">
      <main>{children}</main>
    </div>
  );
}

/** Takes an invite code out of the address, and out of the history with it. */
function takeInvite(): string | undefined {
  const code = inviteIn(location.hash);
  if (code !== undefined) history.replaceState(null, '', `${location.pathname}${location.search}#/`);
  return code;
}

function go(route: Route): void {
  location.hash = addressOf(route);
}

/** The address behind `#` names a page here, so the skip link moves the focus itself. */
function toMain(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

const words = {
  opening: 'Opening what this browser keeps …',
  again: 'Try again',
  skip: 'Skip to the page',
  pages: 'Pages',
  ownCamera: 'Camera',
};

/** Pages from which a browser comes into a household, and the one that an address without a page means. */
const FIRST: readonly Route['page'][] = ['found', 'join', 'recover', 'cameras'];

const NAV: readonly (readonly ['cameras' | 'devices' | 'safety' | 'settings', IconName, string])[] = [
  ['cameras', 'camera', 'Cameras'],
  ['devices', 'device', 'Devices'],
  ['safety', 'numbers', 'Check'],
  ['settings', 'settings', 'Settings'],
];
