// The page around a report: one file, no script, nothing that is loaded, and a content security policy that would stop both.

import { createHash } from 'node:crypto';
import type { Html } from './html.ts';
import { html } from './html.ts';
import { STYLE } from './style.ts';

/** The file's text, UTF-8. */
export function renderPage(title: string, header: Html, main: readonly Html[]): string {
  const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE.text).digest('base64')}'`;
  // In pieces: nothing may come between the tags and what the policy has the hash of.
  const style = [html`<style>`, STYLE, html`</style>`];
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="referrer" content="no-referrer" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        ${style}
      </head>
      <body>
        <header>${header}</header>
        <main>${main}</main>
      </body>
    </html>`;
  return `${page.text}\n`;
}
