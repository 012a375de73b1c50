// Reads the next few things while one is worked on, in order. Bounds what is in memory and in flight.

/** `read` for 0 to `count` - 1; at most `depth` run before their result is taken. */
export async function* readAhead<T>(
  count: number,
  depth: number,
  read: (index: number) => Promise<T>,
): AsyncGenerator<T> {
  const running: Promise<T>[] = [];
  let next = 0;
  try {
    while (next < count || running.length > 0) {
      while (next < count && running.length < depth) running.push(read(next++));
      const first = running.shift();
      if (first !== undefined) yield await first;
    }
  } finally {
    // Whoever stops early must not leave failed reads unobserved.
    await Promise.allSettled(running);
  }
}
