/** Text of a database, in one line: it cannot move the cursor, turn the direction or look like a line of ours. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}
