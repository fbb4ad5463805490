/** As TCP carries a message: two bytes of length, then the message (RFC 1035, 4.2.2). */
export function withLength(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(message.length >> 8, message.length & 0xff), message]);
}

/** The whole messages at the start of what a connection has brought, without their lengths, and what follows them. */
export function messages(received: Buffer): { queries: Buffer[]; rest: Buffer } {
  const queries: Buffer[] = [];
  let at = 0;
  while (at + 2 <= received.length) {
    const end = at + 2 + received.readUInt16BE(at);
    if (end > received.length) break;
    queries.push(received.subarray(at + 2, end));
    at = end;
  }
  return { queries, rest: received.subarray(at) };
}
