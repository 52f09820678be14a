/** A picture and, below it so that nothing lies over what a camera shows, how it stands and what can be done. */

import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** The picture of `stream`; none while that is null. */
export function Stage(props: {
  /** How it stands, for what looks at the page from outside. */
  phase: string;
  stream: MediaStream | null;
  label: string;
  /** What shows is not of now. */
  stale?: boolean;
  muted?: boolean;
  /** Says in place of the picture why there is none. */
  cover?: ComponentChildren;
  badges: ComponentChildren;
  controls: ComponentChildren;
  stage?: RefObject<HTMLDivElement | null>;
  video?: RefObject<HTMLVideoElement | null>;
}) {
  const { phase, stream, label, stale = false, muted = true, cover, badges, controls } = props;
  const own = useRef<HTMLVideoElement>(null);
  const video = props.video ?? own;
  useEffect(() => {
    if (video.current) video.current.srcObject = stream;
  }, [video, stream]);
  return (
    <div ref={props.stage ?? null} class={`stage page-wide ${stale ? 'stale' : ''}`} data-phase={phase}>
      <div class="screen">
        <video ref={video} autoPlay playsInline muted={muted} aria-label={label} />
        {cover}
      </div>
      <div class="bar">
        <div class="badges" role="status">
          {badges}
        </div>
        <div class="controls">{controls}</div>
      </div>
    </div>
  );
}
