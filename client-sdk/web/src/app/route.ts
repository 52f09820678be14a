/** Which page the address means. Everything stands behind `#`, so any static host will do and no server sees it. Pure. */

/** A page. */
export type Route =
  | { page: 'cameras' }
  | { page: 'camera'; id: string }
  | { page: 'devices' }
  | { page: 'add' }
  | { page: 'safety' }
  | { page: 'settings' }
  | { page: 'found' }
  | { page: 'join' }
  | { page: 'recover' };

/** Returns the page that the part of the address from `#` on means; the list of cameras when it means none. */
export function routeOf(hash: string): Route {
  const [page = '', id = ''] = hash.replace(/^#?\/?/, '').split('/');
  if (page === 'camera' && id !== '') return { page, id };
  const plain = PLAIN.find((known) => known === page);
  return { page: plain ?? 'cameras' };
}

/** Returns the address of a page. */
export function addressOf(route: Route): string {
  if (route.page === 'camera') return `#/camera/${route.id}`;
  return route.page === 'cameras' ? '#/' : `#/${route.page}`;
}

/** Returns the invite code that an opened link carries behind `#`; undefined when it carries none. */
export function inviteIn(hash: string): string | undefined {
  const text = hash.replace(/^#/, '');
  if (text === '' || text.startsWith('/')) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Returns the link that carries an invite code to the app at `here`. */
export function inviteLink(here: string, code: string): string {
  return `${here.replace(/[?#].*$/, '')}#${code}`;
}

const PLAIN = ['devices', 'add', 'safety', 'settings', 'found', 'join', 'recover'] as const;
