/** Names that people gave to devices, inside sentences. Pure. */

/** Returns a name in quotation marks. One that is written from right to left leaves the sentence around it in order. */
export function quoted(name: string): string {
  return RIGHT_TO_LEFT.test(name) ? `“${FIRST_STRONG_ISOLATE}${name}${POP_ISOLATE}”` : `“${name}”`;
}

/** Characters of the scripts that are written from right to left. */
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
/** Unicode Standard Annex #9, section 2.4: explicit directional isolates. */
const FIRST_STRONG_ISOLATE = '\u2068';
const POP_ISOLATE = '\u2069';
