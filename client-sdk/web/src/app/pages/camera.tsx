/** The live view of one camera: its picture, and everything that is known about it. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { Button, IconButton } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { Stage } from '../parts/stage.tsx';
import { StorySteps, waitingFor } from '../parts/story.tsx';
import { Watchers } from '../parts/watchers.tsx';
import type { Household, Viewer, ViewerState } from '../../sdk/index.ts';
import { sentence, useWatched } from '../watched.ts';

/** Watches a camera as long as the page shows. */
export function CameraPage({ household, id }: { household: Household; id: string }) {
  const [round, setRound] = useState(0);
  useWatched(household);
  const camera = useMemo(() => household.camera(id), [household, id]);
  const [viewer, setViewer] = useState<Viewer>();
  useEffect(() => {
    const watching = camera.watch();
    setViewer(watching);
    const leave = (): void => watching.stop();
    // A page that the browser kept while another one showed begins anew.
    const back = (event: PageTransitionEvent): void => {
      if (event.persisted) setRound((count) => count + 1);
    };
    addEventListener('pagehide', leave);
    addEventListener('pageshow', back);
    return () => {
      removeEventListener('pagehide', leave);
      removeEventListener('pageshow', back);
      watching.stop();
    };
  }, [camera, round]);
  return (
    <>
      <PageHead title={household.nameOf(id) || words.unknown} back={{ to: '#/', say: words.all }} />
      {viewer && <Live key={round} viewer={viewer} again={() => setRound(round + 1)} />}
    </>
  );
}

function Live({ viewer, again }: { viewer: Viewer; again: () => void }) {
  const state = useWatched(viewer);
  return (
    <>
      <Picture viewer={viewer} state={state} again={again} />
      <div class="beside">
        <section class="card stack" aria-labelledby="line">
          <h2 id="line">{words.line}</h2>
          <Figures state={state} />
        </section>
        <section class="card stack" aria-labelledby="who">
          <h2 id="who">{words.who}</h2>
          <Watchers watchers={state.watchers} nobody={words.nobody} />
          <p class="soft small">{words.honest}</p>
        </section>
      </div>
      <section class="card stack tight" aria-labelledby="story">
        <h2 id="story">{words.story}</h2>
        {state.note && <Notice>{sentence(state.note)}</Notice>}
        {state.reconnects > 0 && <p class="soft small">{words.anew(state.reconnects)}</p>}
        <StorySteps story={state.story} />
      </section>
    </>
  );
}

function Picture(props: { viewer: Viewer; state: ViewerState; again: () => void }) {
  const { viewer, state, again } = props;
  const video = useRef<HTMLVideoElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const [muted, setMuted] = useState(true);
  const { phase } = state;
  const over = phase.is === 'ended' || phase.is === 'unplayable';

  const full = (): void => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void stage.current?.requestFullscreen().catch(() => undefined);
  };
  const inWindow = (): void => {
    if (document.pictureInPictureElement) void document.exitPictureInPicture();
    else void video.current?.requestPictureInPicture().catch(() => undefined);
  };
  return (
    <Stage
      phase={phase.is}
      // Nothing that was shown stays on the screen once it is over.
      stream={over ? null : viewer.stream}
      label={words.picture}
      stale={phase.is !== 'live'}
      muted={muted}
      stage={stage}
      video={video}
      cover={
        phase.is !== 'live' && (
          <div class="cover" role={over ? 'alert' : 'status'}>
            {!over && <span class="spinner" aria-hidden="true" />}
            <Why state={state} />
            {over && <Button onPress={again}>{words.again}</Button>}
          </div>
        )
      }
      badges={<Badges state={state} />}
      controls={
        !over && (
          <>
            <IconButton
              icon={muted ? 'muted' : 'sound'}
              label={muted ? words.soundOn : words.soundOff}
              onPress={() => setMuted(!muted)}
            />
            {document.pictureInPictureEnabled && (
              <IconButton icon="pip" label={words.pip} onPress={inWindow} />
            )}
            {document.fullscreenEnabled && <IconButton icon="full" label={words.full} onPress={full} />}
          </>
        )
      }
    />
  );
}

function Why({ state }: { state: ViewerState }) {
  const { phase, story } = state;
  switch (phase.is) {
    case 'unplayable':
      return <p>{words.unplayable(phase.codec)}</p>;
    case 'ended':
      return <p>{sentence(phase.reason)}</p>;
    default: {
      const open = story.find((step) => step.doneAfter === undefined);
      return (
        <>
          <p>
            {phase.is === 'again' ? `${words.lost} ` : ''}
            {waitingFor(story)} …
          </p>
          {open?.reason && <p class="soft small">{sentence(open.reason)}</p>}
        </>
      );
    }
  }
}

function Badges({ state }: { state: ViewerState }) {
  if (state.phase.is !== 'live') return null;
  const { picture, authenticity, fresh } = state;
  return (
    <>
      {fresh === false ? (
        <span class="badge alarm">
          <Icon name="alarm" size={16} />
          {words.notLive}
        </span>
      ) : (
        <span class="badge">
          <span class="dot" aria-hidden="true" />
          {words.live}
          {picture?.latencyMs !== undefined && (
            <span class="figures">{words.latency(Math.round(picture.latencyMs))}</span>
          )}
        </span>
      )}
      {authenticity === 'signed' && (
        <span class="badge good">
          <Icon name="shield" size={16} />
          {words.signed}
        </span>
      )}
      {authenticity === 'notVerified' && <span class="badge">{words.notVerified}</span>}
      {authenticity === 'forged' && (
        <span class="badge alarm">
          <Icon name="alarm" size={16} />
          {words.forged}
        </span>
      )}
    </>
  );
}

function Figures({ state }: { state: ViewerState }) {
  const { picture, figures, epoch, fresh } = state;
  const unopened = figures?.failed.reduce((sum, one) => sum + one.frames, 0) ?? 0;
  const rows: [string, string][] = [
    [words.delay, picture?.latencyMs === undefined ? '–' : `${Math.round(picture.latencyMs)} ms`],
    [words.size, picture && picture.width > 0 ? `${picture.width} × ${picture.height}` : '–'],
    [words.rate, picture ? words.fps(picture.fps.toFixed(0)) : '–'],
    [words.bits, figures ? words.mbits((figures.bitsPerSecond / 1e6).toFixed(2)) : '–'],
    [words.jitter, picture ? `${picture.jitterMs.toFixed(0)} ms` : '–'],
    [words.lostPackets, picture ? String(picture.packetsLost) : '–'],
    [words.unopened, figures ? String(unopened) : '–'],
    [words.freshness, fresh === null ? '–' : fresh ? words.proven : words.old],
    [words.keys, epoch ? words.epoch(epoch.number, epoch.members) : '–'],
  ];
  return (
    <dl class="figures-list">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const words = {
  unknown: 'Camera',
  all: 'All cameras',
  picture: 'Live picture',
  line: 'Picture and line',
  who: 'Watching now',
  story: 'How the picture got here',
  soundOn: 'Sound on',
  soundOff: 'Sound off',
  pip: 'Picture in picture',
  full: 'Full screen',
  again: 'Try again',
  lost: 'The picture stopped.',
  live: 'Live',
  notLive: 'Not live',
  latency: (ms: number) => `${ms} ms`,
  signed: 'Signed by the camera',
  notVerified: 'Signature not checked yet',
  forged: 'Not from the camera',
  unplayable: (codec: string) =>
    `This camera sends ${codec === 'H264' ? 'H.264' : codec}, which this browser cannot play live: open the page in Chrome, Edge or Safari, or have the camera send VP8.`,
  delay: 'Delay',
  size: 'Size',
  rate: 'Pictures',
  fps: (rate: string) => `${rate} per second`,
  bits: 'Data',
  mbits: (rate: string) => `${rate} Mbit/s`,
  jitter: 'Jitter',
  lostPackets: 'Packets lost',
  unopened: 'Frames not opened',
  freshness: 'Proven live',
  proven: 'Yes',
  old: 'No',
  keys: 'Keys',
  epoch: (number: number, members: number) => `Epoch ${number}, ${members} devices`,
  anew: (times: number) =>
    `The connection was made anew ${times === 1 ? 'once' : `${times} times`} since this page was opened.`,
  nobody: 'Nobody has said so yet.',
  honest: 'Devices say so themselves. The list of devices has everyone who could watch.',
};
