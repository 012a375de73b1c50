// Bytes that answers may hold at once, over all who are being answered. One answer of any size always
// goes: a budget that is smaller than it must not refuse it for good.

export class ByteBudget {
  readonly #maximum: number;
  #taken = 0;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  get taken(): number {
    return this.#taken;
  }

  /** False: too much is on its way already. Give back what was taken. */
  take(bytes: number): boolean {
    if (this.#taken > 0 && this.#taken + bytes > this.#maximum) return false;
    this.#taken += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes;
  }
}
