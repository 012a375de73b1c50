// How far an epoch has come on this machine and in the store: told by the epoch's log while it runs, asked
// by its shipper. Counts what the store does not have yet, which is what is bounded.

export class EpochProgress {
  readonly epoch: number;
  /** Whether objects of it may be in the store: it was begun by a host that has ended. */
  readonly isResumed: boolean;
  readonly #onChange: () => void;
  #durableRecords: number;
  #durableBytes: number;
  #shippedBytes = 0;
  #shippedRecords = 0;
  #publishedSize: number;
  #finalSize: number | null;
  #wake: PromiseWithResolvers<null> = Promise.withResolvers<null>();

  private constructor(
    epoch: number,
    start: { readonly records: number; readonly bytes: number; readonly size: number | null },
    onChange: () => void,
  ) {
    this.epoch = epoch;
    this.isResumed = start.size !== null;
    this.#durableRecords = start.records;
    this.#durableBytes = start.bytes;
    this.#publishedSize = start.size ?? 0;
    this.#finalSize = start.size;
    this.#onChange = onChange;
  }

  /** An epoch that begins now. `onChange`: what it holds unshipped may have changed. */
  static live(epoch: number, onChange: () => void): EpochProgress {
    return new EpochProgress(epoch, { records: 0, bytes: 0, size: null }, onChange);
  }

  /** One that was settled: `bytes` of commits, `size` leaves, all of it durable and published. */
  static settled(epoch: number, bytes: number, size: number, onChange: () => void): EpochProgress {
    const records = Number.POSITIVE_INFINITY;
    return new EpochProgress(epoch, { records, bytes, size }, onChange);
  }

  /** Commits that may be read from the spool; infinite for a settled epoch, whose size tells the end. */
  get durableRecords(): number {
    return this.#durableRecords;
  }

  /** Of commits that became durable. */
  get durableBytes(): number {
    return this.#durableBytes;
  }

  /** Leaves whose full tiles and bundles are in the log folder. */
  get publishedSize(): number {
    return this.#publishedSize;
  }

  /** Leaves of the whole epoch, once its folder is complete; null while it runs. */
  get finalSize(): number | null {
    return this.#finalSize;
  }

  /** Commits that the store has shown, without a hole from the first on. */
  get shippedRecords(): number {
    return this.#shippedRecords;
  }

  /** Bytes of commits that the store does not have. */
  get unshippedBytes(): number {
    return this.#durableBytes - this.#shippedBytes;
  }

  /** A commit of so many bytes is durable in the spool. */
  durable(bytes: number): void {
    this.#durableRecords++;
    this.#durableBytes += bytes;
    this.#changed();
  }

  published(size: number): void {
    if (size === this.#publishedSize) return;
    this.#publishedSize = size;
    this.#changed();
  }

  /** The epoch is over, and spool and folder of it are complete. */
  end(size: number): void {
    this.#publishedSize = size;
    this.#finalSize = size;
    this.#changed();
  }

  /** So many commits more, of so many bytes, were shown by the store. */
  shipped(records: number, bytes: number): void {
    this.#shippedRecords += records;
    this.#shippedBytes += bytes;
    this.#changed();
  }

  /** Resolves at the next change of any of it, or with `other`. Rejects when the signal aborts and somebody nudges. */
  async change(signal: AbortSignal, other?: Promise<unknown>): Promise<void> {
    signal.throwIfAborted();
    await (other === undefined ? this.#wake.promise : Promise.race([this.#wake.promise, other]));
    signal.throwIfAborted();
  }

  /** Something that waiting shippers look at has changed elsewhere. */
  nudge(): void {
    this.#changed();
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = Promise.withResolvers<null>();
    wake.resolve(null);
    this.#onChange();
  }
}
