// The style sheet of a report: dark and light as the reader has it, light on paper. Nothing is loaded.

import type { Html } from './html.ts';
import { html } from './html.ts';

function css(text: TemplateStringsArray): Html {
  return html(text);
}

export const STYLE: Html = css`
  :root {
    color-scheme: light dark;
    --text: #16191d;
    --back: #ffffff;
    --soft: #5b6470;
    --rule: #d5dae0;
    --line: #0b5cad;
    --loss: #b3261e;
    --loss-area: #f6d5d2;
    --gap: #e3c46a;
    --in: #1b7a3d;
    --out: #b3261e;
    --good: #1b7a3d;
    --panel: #f4f6f8;
  }
  @media (prefers-color-scheme: dark) {
    :root {
      --text: #e6e9ed;
      --back: #14171b;
      --soft: #9aa4b0;
      --rule: #333b45;
      --line: #6cb2ff;
      --loss: #ff8a80;
      --loss-area: #4a2422;
      --gap: #6b5a1e;
      --in: #6fd08c;
      --out: #ff8a80;
      --good: #6fd08c;
      --panel: #1c2127;
    }
  }
  * {
    box-sizing: border-box;
  }
  body {
    margin: 0 auto;
    max-width: 64rem;
    padding: 1.5rem;
    background: var(--back);
    color: var(--text);
    font:
      16px/1.5 system-ui,
      sans-serif;
  }
  h1 {
    font-size: 1.6rem;
    margin: 0 0 0.25rem;
  }
  h2 {
    font-size: 1.2rem;
    margin: 2rem 0 0.5rem;
    border-bottom: 1px solid var(--rule);
  }
  h3 {
    font-size: 1rem;
    margin: 1.2rem 0 0.3rem;
  }
  p {
    margin: 0.4rem 0;
  }
  .soft {
    color: var(--soft);
  }
  code,
  .hash {
    font-family: ui-monospace, monospace;
    font-size: 0.85em;
    overflow-wrap: anywhere;
  }
  .badge {
    display: inline-block;
    padding: 0.1rem 0.6rem;
    border: 2px solid currentColor;
    border-radius: 0.3rem;
    font-weight: 700;
  }
  .verified {
    color: var(--good);
  }
  .undecided,
  .warning {
    color: var(--loss);
  }
  .warning {
    border-left: 4px solid currentColor;
    padding-left: 0.8rem;
  }
  .scroll {
    overflow-x: auto;
    margin: 0.5rem 0 1.2rem;
  }
  table {
    border-collapse: collapse;
    width: 100%;
    font-variant-numeric: tabular-nums;
  }
  caption {
    text-align: left;
    color: var(--soft);
    padding: 0.3rem 0;
  }
  /* Stays in sight, and breaks, where its table is wider than the screen. */
  caption span {
    position: sticky;
    left: 0;
    display: inline-block;
    max-width: min(100%, 100vw - 3rem);
  }
  th,
  td {
    padding: 0.25rem 0.5rem;
    border-bottom: 1px solid var(--rule);
    text-align: right;
    vertical-align: top;
    white-space: nowrap;
  }
  td.none {
    min-width: 6rem;
    white-space: normal;
  }
  th:first-child,
  td:first-child,
  th.text,
  td.text {
    text-align: left;
  }
  td.text {
    min-width: 8rem;
    white-space: normal;
  }
  td.text.keys {
    min-width: 18rem;
  }
  th[scope='row'] {
    position: sticky;
    left: 0;
    min-width: 6.5rem;
    max-width: 34rem;
    background: var(--back);
    white-space: normal;
  }
  .long {
    overflow-wrap: anywhere;
  }
  .dense {
    font-size: 0.85rem;
  }
  .dense th,
  .dense td {
    padding: 0.25rem;
  }
  .dense th[scope='row'] {
    min-width: 0;
    white-space: nowrap;
  }
  thead th {
    color: var(--soft);
    font-weight: 600;
  }
  td.none,
  td.empty {
    color: var(--soft);
    font-style: italic;
  }
  td.loss {
    color: var(--loss);
  }
  .key {
    display: grid;
    grid-template-columns: repeat(4, 1fr);
    gap: 0.8rem;
    margin: 1rem 0;
    padding: 0;
  }
  .key div {
    background: var(--panel);
    padding: 0.6rem 0.8rem;
    border-radius: 0.3rem;
  }
  .key dt {
    color: var(--soft);
    font-size: 0.85rem;
  }
  .key dd {
    margin: 0;
    font-size: 1.25rem;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .key small {
    display: block;
    font-size: 0.8rem;
    font-weight: 400;
    color: var(--soft);
  }
  figure {
    margin: 1rem 0;
  }
  figcaption {
    font-weight: 600;
  }
  .legend {
    display: flex;
    gap: 1.2rem;
    margin: 0;
    color: var(--soft);
    font-size: 0.8rem;
    font-weight: 400;
  }
  .legend i {
    display: inline-block;
    width: 0.9rem;
    height: 0.7rem;
    border: 0 solid var(--gap);
    border-left-width: 0.9rem;
  }
  .legend .key-in {
    width: 0.2rem;
    border-color: var(--in);
    border-left-width: 0.2rem;
  }
  .legend .key-out {
    width: 0.2rem;
    border-color: var(--out);
    border-left-width: 0.2rem;
  }
  /* The box is where lines are; text stands outside of it. */
  .chart {
    display: block;
    width: calc(100% - 6rem);
    height: 13rem;
    margin: 0.8rem 0.8rem 2.8rem 5.2rem;
    overflow: visible;
  }
  .chart.low {
    height: 8rem;
  }
  .plot {
    overflow: visible;
  }
  .chart text {
    fill: var(--soft);
    font:
      12px system-ui,
      sans-serif;
  }
  .level {
    text-anchor: end;
  }
  .date {
    text-anchor: middle;
  }
  .last {
    text-anchor: end;
  }
  .grid {
    stroke: var(--rule);
    stroke-width: 1;
  }
  .line {
    fill: none;
    stroke: var(--line);
    stroke-width: 1.6;
    vector-effect: non-scaling-stroke;
    stroke-linejoin: round;
    stroke-linecap: round;
  }
  .line.loss {
    stroke: var(--loss);
  }
  .area {
    fill: var(--loss-area);
    stroke: none;
  }
  .gap {
    fill: var(--gap);
    fill-opacity: 0.55;
  }
  .flow {
    stroke-width: 3;
  }
  .flow.in {
    stroke: var(--in);
  }
  .flow.out {
    stroke: var(--out);
  }
  a {
    color: var(--line);
  }
  ul {
    padding-left: 1.2rem;
  }
  li {
    margin: 0.15rem 0;
  }
  @media (max-width: 40rem) {
    body {
      padding: 1rem;
    }
    .key {
      grid-template-columns: repeat(2, 1fr);
    }
    .key dd {
      font-size: 1.1rem;
    }
    .chart {
      width: calc(100% - 5rem);
      margin-left: 4.4rem;
    }
    .minor {
      display: none;
    }
    th,
    td {
      padding: 0.25rem 0.35rem;
    }
  }
  @media print {
    :root {
      color-scheme: light;
      --text: #000;
      --back: #fff;
      --soft: #444;
      --rule: #bbb;
      --line: #0b5cad;
      --loss: #b3261e;
      --loss-area: #f6d5d2;
      --gap: #e3c46a;
      --in: #1b7a3d;
      --out: #b3261e;
      --good: #1b7a3d;
      --panel: #f4f6f8;
    }
    body {
      max-width: none;
      padding: 0;
      font-size: 10pt;
    }
    figure,
    tr,
    .key div {
      break-inside: avoid;
    }
    h2,
    h3,
    caption,
    thead {
      break-after: avoid;
    }
    .dense,
    tbody tr:first-child {
      break-before: avoid;
    }
    .dense {
      break-inside: avoid;
    }
    thead {
      display: table-header-group;
    }
    .scroll {
      overflow: visible;
    }
    .dense {
      font-size: 7.5pt;
    }
    th[scope='row'] {
      position: static;
    }
    .key {
      grid-template-columns: repeat(4, 1fr);
    }
    .key div {
      border: 1px solid var(--rule);
    }
  }
`;
