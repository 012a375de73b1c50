// Looks for requests that commands leave in the state folder, twice a second, one look after the other.

const LOOK_EVERY_MS = 500;

export class LookOften {
  readonly #look: () => Promise<void>;
  readonly #onFailure: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();

  constructor(look: () => Promise<void>, onFailure: (error: unknown) => void) {
    this.#look = look;
    this.#onFailure = onFailure;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(this.#look).catch(this.#onFailure);
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Nothing is touched afterwards. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
  }
}
