// Bounds what an SDK client reads of one answer: it collects error texts and lists in memory, whatever their
// size. A longer answer is cut with an error; nothing of it is delivered as if it were whole.

import { Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import type { NodeHttpHandler } from '@smithy/node-http-handler';

export const ANSWER_TOO_LARGE = 'AnswerTooLarge';

class AnswerTooLarge extends Error {
  override readonly name = ANSWER_TOO_LARGE;
}

function capped(body: Readable, maxBytes: number): Readable {
  let bytes = 0;
  const gate = new Transform({
    transform: (chunk: Uint8Array, _encoding, done) => {
      bytes += chunk.length;
      if (bytes > maxBytes) done(new AnswerTooLarge());
      else done(null, chunk);
    },
  });
  body.once('error', (error) => gate.destroy(error));
  // Cut in the middle: without this it would look like an end to nobody, and like a hang to the reader.
  body.once('close', () => {
    if (!body.readableEnded) gate.destroy(new Error('the answer was cut'));
  });
  gate.once('close', () => body.destroy());
  return body.pipe(gate);
}

/** The handler, with a bound on the body of each answer. Changes the handler. */
export function capAnswers(handler: NodeHttpHandler, maxBytes: number): NodeHttpHandler {
  const handle = handler.handle.bind(handler);
  handler.handle = async (request, options) => {
    const answer = await handle(request, options);
    answer.response.body = capped(answer.response.body as Readable, maxBytes);
    return answer;
  };
  return handler;
}
