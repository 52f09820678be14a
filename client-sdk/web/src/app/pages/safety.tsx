/** The safety number: sixty digits that all devices of the household show, unless somebody cheats. */

import { useEffect, useState } from 'preact/hooks';

import { Wrong } from '../parts/controls.tsx';
import { PageHead } from '../parts/page.tsx';
import { QrCode } from '../parts/qr.tsx';
import type { Household, SafetyNumber } from '../../sdk/index.ts';
import { sentence, useWatched } from '../watched.ts';

/** Shows the safety number, and keeps it up to date with the list. */
export function SafetyPage({ household }: { household: Household }) {
  const { listVersion } = useWatched(household);
  const [number, setNumber] = useState<SafetyNumber>();
  const [wrong, setWrong] = useState<string>();
  useEffect(() => {
    let asked = true;
    const show = (shown: SafetyNumber | undefined, why: string | undefined): void => {
      if (!asked) return;
      setNumber(shown);
      setWrong(why);
    };
    household.safetyNumber().then(
      (shown) => show(shown, undefined),
      (error: unknown) => show(undefined, sentence(error)),
    );
    return () => void (asked = false);
  }, [household, listVersion]);
  return (
    <>
      <PageHead title={words.title} />
      <p>{words.what}</p>
      <Wrong action={{ wrong }} />
      {number && (
        <div class="card narrow stack">
          <ol class="safety" aria-label={words.title}>
            {number.groups.map((group, index) => (
              <li key={index}>{group}</li>
            ))}
          </ol>
          <QrCode text={number.qr} label={words.qr} />
          <p class="soft small">{words.version(number.listVersion)}</p>
        </div>
      )}
      <p class="soft">{words.different}</p>
    </>
  );
}

const words = {
  title: 'Safety number',
  what: 'Compare these digits with another device of the household, side by side or over the phone. If they are the same, both see the same devices and nobody is in between.',
  qr: 'The safety number as a QR code, for another device to scan',
  version: (version: number) => `Of device list ${version}. It changes when the list does.`,
  different:
    'If they differ, one of the two may not have seen the newest list yet: open Devices on both and look again. If they still differ, do not trust the server.',
};
