// What the host shows of itself to Prometheus. Whoever has numbers registers a name and a function that reads
// them; nothing is counted twice, and nothing runs until somebody scrapes. Labels are of closed lists or of our
// own configuration, never text of a peer.

import { Counter, Gauge, Registry } from 'prom-client';

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];
/** Null: there is nothing to show now. */
export type Reading = number | readonly Sample[] | null;

function samplesOf(reading: Reading): readonly Sample[] {
  if (reading === null) return [];
  return typeof reading === 'number' ? [[{}, reading]] : reading;
}

export class Metrics {
  readonly registry: Registry = new Registry();

  /** Goes up while the process (or the epoch) lives. Conventions: `_total` at the end, base units. */
  counter(
    name: string,
    help: string,
    read: () => Reading,
    labelNames: readonly string[] = [],
  ): void {
    if (!name.endsWith('_total'))
      throw new Error(`${name} is a counter: its name ends with _total`);
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect: () => {
        counter.reset();
        // One without labels is 0 after that, which is not the same as nothing to show.
        if (labelNames.length === 0) counter.remove();
        for (const [labels, value] of samplesOf(read())) counter.inc(labels, value);
      },
    });
  }

  /** Goes up and down. */
  gauge(name: string, help: string, read: () => Reading, labelNames: readonly string[] = []): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect: () => {
        gauge.reset();
        if (labelNames.length === 0) gauge.remove();
        for (const [labels, value] of samplesOf(read())) gauge.set(labels, value);
      },
    });
  }
}
