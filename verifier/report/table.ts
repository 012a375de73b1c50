// Tables of a report: each with a caption, headers of columns and of rows, and a box of its own that scrolls by finger and
// by key where a screen is narrow. Cells that are strings are figures, in one line and at the right.

import type { Html, Value } from './html.ts';
import { html } from './html.ts';
import { count } from './numbers.ts';

/** Rows of a list; what is beyond is counted, and is in the JSON. */
const MAX_ROWS = 100;

export type Cell = Html | string;

/** The first column names its row. */
export function table(
  caption: string,
  head: readonly Cell[],
  rows: readonly (readonly Cell[])[],
): Html {
  return render('', caption, head, rows);
}

/** With many columns: smaller. */
export function dense(
  caption: string,
  head: readonly Cell[],
  rows: readonly (readonly Cell[])[],
): Html {
  return render('dense', caption, head, rows);
}

function render(
  kind: string,
  caption: string,
  head: readonly Cell[],
  rows: readonly (readonly Cell[])[],
): Html {
  if (rows.length === 0) return html`<p class="soft">${caption}: none yet</p>`;
  const shown = rows.slice(0, MAX_ROWS);
  const more = rows.length - shown.length;
  const body = shown.map(([name = '', ...cells]) => {
    const all = cells.map((cell) => (typeof cell === 'string' ? html`<td>${cell}</td>` : cell));
    return html`<tr>
      <th scope="row">${name}</th>
      ${all}
    </tr>`;
  });
  return html`<div class="scroll" role="group" aria-label="${caption}" tabindex="0">
      <table class="${kind}">
        <caption>
          <span>${caption}</span>
        </caption>
        <thead>
          <tr>
            ${head.map(headCell)}
          </tr>
        </thead>
        <tbody>
          ${body}
        </tbody>
      </table>
    </div>
    ${more > 0 ? html`<p class="soft">and ${count(more)} more, in the JSON of this report</p>` : html``}`;
}

/** A corner without a name is no header. */
function headCell(cell: Cell): Html {
  if (typeof cell !== 'string') return cell;
  return cell === '' ? html`<td></td>` : html`<th scope="col">${cell}</th>`;
}

/** Over a column of words. */
export function textHead(name: string): Html {
  return html`<th scope="col" class="text">${name}</th>`;
}

export function text(value: Value): Html {
  return html`<td class="text">${value}</td>`;
}
