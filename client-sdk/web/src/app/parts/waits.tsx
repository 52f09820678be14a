/** Says that something is waited for. */

/** A turning ring and what is waited for. */
export function Waits({ say }: { say: string }) {
  return (
    <p class="line soft waits" role="status">
      <span class="spinner" aria-hidden="true" />
      {say}
    </p>
  );
}
