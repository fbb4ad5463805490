/** Gives the message to send back, at once where it can, or undefined for none; `from` is the address that asks. */
export type Answerer = (
  query: Uint8Array,
  at: { readonly from: string; readonly stream: boolean },
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** Where resolvers are asked (RFC 1035, 4.2). */
export const port = 53;
