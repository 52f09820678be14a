/** A code of another device: pasted, or scanned where this browser reads QR codes. */

import { useState } from 'preact/hooks';

import { Button, Field } from './controls.tsx';
import { Scan, canScan } from './scan.tsx';

/** Takes the text; `onScan` hears what was scanned, which is whole and can be used at once. */
export function CodeField(props: {
  label: string;
  value: string;
  hint?: string;
  /** Nothing is scanned while what was found is being used. */
  busy: boolean;
  onInput: (text: string) => void;
  onScan: (text: string) => void;
}) {
  const { label, value, hint, busy, onInput, onScan } = props;
  const [scanning, setScanning] = useState(false);
  return (
    <>
      {scanning && (
        <Scan
          onFound={(text) => {
            setScanning(false);
            onInput(text);
            onScan(text);
          }}
        />
      )}
      <Field label={label} value={value} onInput={onInput} {...(hint === undefined ? {} : { hint })} long />
      {canScan() && !scanning && !busy && (
        <div class="line">
          <Button kind="quiet" icon="scan" onPress={() => setScanning(true)}>
            Scan with this camera
          </Button>
        </div>
      )}
    </>
  );
}
