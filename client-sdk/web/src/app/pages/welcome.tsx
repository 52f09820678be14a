/** The first page: make a household, or join one. */

import { Icon, Mark } from '../parts/icons.tsx';
import { PageHead } from '../parts/page.tsx';

/** What a browser shows that belongs to no household. */
export function WelcomePage() {
  return (
    <>
      <div class="hero">
        <Mark size={64} />
        <PageHead title={words.title} />
        <p class="soft">{words.what}</p>
      </div>
      <ul class="choices">
        <li>
          <a href="#/found">
            <Icon name="house" size={28} />
            <strong>{words.found}</strong>
            <span class="soft">{words.foundWhat}</span>
          </a>
        </li>
        <li>
          <a href="#/join">
            <Icon name="scan" size={28} />
            <strong>{words.join}</strong>
            <span class="soft">{words.joinWhat}</span>
          </a>
        </li>
      </ul>
      <p class="soft small centred">
        {words.lost} <a href="#/recover">{words.recover}</a>
      </p>
    </>
  );
}

const words = {
  title: 'Latchkey',
  what: 'Your cameras, for your eyes only. Every frame is sealed at the camera and opened on your devices; no server in between can look.',
  found: 'Make a household',
  foundWhat: 'This is the first device.',
  join: 'Join a household',
  joinWhat: 'By QR code, invite link, or six digits.',
  lost: 'Lost every device?',
  recover: 'Use the twelve words',
};
