/** Digits that two screens show and people compare: large, in groups of three. */

/** Shows them; a number that is grouped already stays as it is. */
export function Digits({ digits }: { digits: string }) {
  return (
    <p class="number" role="status">
      {digits.replace(/(\d{3})(?=\d{3}$)/, '$1 ')}
    </p>
  );
}
