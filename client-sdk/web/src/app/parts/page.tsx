/** A page: its title in the window and at the top, which gets the focus when the page is come to. */

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Icon } from './icons.tsx';

/** The first page drawn leaves the focus where the browser put it. */
let first = true;

/** The heading of a page: the way back before it, whatever may be done beside it. */
export function PageHead(props: {
  title: string;
  back?: { to: string; say: string };
  children?: ComponentChildren;
}) {
  const { title, back, children } = props;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Latchkey`;
    if (!first) heading.current?.focus();
    first = false;
  }, [title]);
  return (
    <div class="page-head">
      {back && (
        <a class="button icon quiet" href={back.to} aria-label={back.say} title={back.say}>
          <Icon name="back" />
        </a>
      )}
      <h1 ref={heading} tabIndex={-1} dir="auto">
        {title}
      </h1>
      {children}
    </div>
  );
}
