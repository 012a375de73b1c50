// The client order ids of this epoch's released signals: by them a fill on the account is known as one of ours. So many are
// remembered as the core remembers open outputs; a fill of an older one counts as unmatched.

export const MAX_ORDERS = 65_536;

export class OurOrders {
  readonly #ids = new Set<string>();

  add(clientOrderId: string): void {
    this.#ids.add(clientOrderId);
    if (this.#ids.size <= MAX_ORDERS) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
  }

  has(clientOrderId: string): boolean {
    return this.#ids.has(clientOrderId);
  }
}
