/** Docker's limit for what a check says, in bytes. */
const most = 4096;

/** The beginning of what a check writes. */
export class Output {
  readonly #chunks: Uint8Array[] = [];
  #kept = 0;
  #cut = false;

  take(bytes: Uint8Array): void {
    const room = most - this.#kept;
    if (bytes.length > room) this.#cut = true;
    if (room <= 0) return;
    const part = Uint8Array.from(bytes.subarray(0, room));
    this.#chunks.push(part);
    this.#kept += part.length;
  }

  /** UTF-8, with "..." where something is left out. */
  text(): string {
    return Buffer.concat(this.#chunks).toString() + (this.#cut ? "..." : "");
  }
}
