/** Which server the household is at: the one that serves the app, unless the page says otherwise. */

/** Returns the address to begin with. A static host names its server in `<meta name="latchkey-server">`. */
export function defaultServer(): string {
  const named = document.querySelector<HTMLMetaElement>('meta[name="latchkey-server"]')?.content.trim();
  return named || location.origin;
}

/** Whether this page came from the household's own server: then that server could have changed the page. */
export function isServedBy(server: string): boolean {
  return URL.canParse(server) && new URL(server).origin === location.origin;
}

/** A first guess at what this device is called. */
export function deviceName(): string {
  const agent = navigator.userAgent;
  const known = DEVICES.find(([word]) => agent.includes(word));
  return known?.[1] ?? 'Browser';
}

const DEVICES = [
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Android', 'Android phone'],
  ['Macintosh', 'Mac'],
  ['Windows', 'Windows PC'],
  ['CrOS', 'Chromebook'],
  ['Linux', 'Linux PC'],
] as const;
