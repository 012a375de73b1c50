// XML of requests and answers. Requests are small documents of a few fields each; answers are written by hand,
// so that they are AWS's and not a library's.

import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { malformedXml } from './refusal.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  processEntities: { enabled: true, maxTotalExpansions: 1000 },
});

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\r', '&#13;');
}

/** Values are text, an element, a list of the same element, or absent. */
export interface XmlFields {
  readonly [name: string]: string | undefined | XmlFields | readonly XmlFields[];
}

export function writeXml(fields: XmlFields): string {
  let text = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const all = (Array.isArray(value) ? value : [value]) as readonly (string | XmlFields)[];
    for (const one of all) {
      text += `<${name}>${typeof one === 'string' ? escapeXml(one) : writeXml(one)}</${name}>`;
    }
  }
  return text;
}

export function xmlDocument(root: string, fields: XmlFields): string {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  return `${head}<${root} xmlns="${NAMESPACE}">${writeXml(fields)}</${root}>`;
}

/** The root element's fields. Throws `MalformedXML`. */
export function parseXml(body: Uint8Array, root: string): Readonly<Record<string, unknown>> {
  const text = Buffer.from(body).toString('utf8');
  if (XMLValidator.validate(text) !== true) throw malformedXml();
  const value = (parser.parse(text) as Record<string, unknown>)[root];
  if (value === '') return {};
  if (typeof value !== 'object' || value === null) throw malformedXml();
  return value as Record<string, unknown>;
}

/** Text of a field on a path; undefined where it is absent. */
export function textAt(
  fields: Readonly<Record<string, unknown>>,
  ...path: readonly string[]
): string | undefined {
  let value: unknown = fields;
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return typeof value === 'string' ? value : undefined;
}
