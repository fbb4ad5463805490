/** Messages of the ssh agent's protocol (draft-ietf-sshm-ssh-agent, section 6.1). */
const message = { failure: 5, requestIdentities: 11, sign: 13, extension: 27 } as const;
const allowed: ReadonlySet<number> = new Set([message.requestIdentities, message.sign]);

/** Bytes of one message, as OpenSSH's agent takes them. */
const largest = 256 * 1024;

/**
 * What of a build step's messages its client's ssh agent may see: listing keys and signing. Adding, removing and locking keys
 * are nothing that a build should do; they are answered with a failure.
 */
export class AgentFilter {
  #rest: Buffer = Buffer.alloc(0);

  /** Takes bytes as they come; gives what goes on to the agent, and what goes back. Throws for a message that is too long. */
  push(bytes: Uint8Array): { readonly forward: Uint8Array[]; readonly refused: number } {
    const forward: Uint8Array[] = [];
    let refused = 0;
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 5) {
      const length = this.#rest.readUInt32BE(0);
      if (length === 0 || length > largest) throw new RangeError(`a message of ${length} bytes for the ssh agent`);
      if (this.#rest.length < 4 + length) break;
      if (allowed.has(this.#rest[4] ?? 0)) forward.push(this.#rest.subarray(0, 4 + length));
      else refused++;
      this.#rest = this.#rest.subarray(4 + length);
    }
    return { forward, refused };
  }
}

/** The agent's word for no. */
export const refusal: Uint8Array = Uint8Array.of(0, 0, 0, 1, message.failure);
