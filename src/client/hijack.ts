import http from "node:http";
import type { Address } from "./address.ts";
import type { ClientRequest, HijackedStream } from "./client.ts";
import { noAnswer, refusal } from "./failure.ts";
import { requestHeaders, requestPath } from "./request.ts";

/**
 * Asks for an upgrade and hands the raw connection over. This is the one request that `fetch` cannot make; node:http costs
 * 5 ms to load, so only commands that attach load it.
 */
export function hijackConnection(
  request: ClientRequest,
  at: { host: string; address: Address },
): Promise<HijackedStream> {
  const { promise, resolve, reject } = Promise.withResolvers<HijackedStream>();
  const sent = http.request({
    ...at.address,
    method: request.method,
    path: requestPath(request),
    headers: { Host: "berth", ...requestHeaders(request), Connection: "Upgrade", Upgrade: "tcp" },
    agent: false,
    ...(request.signal && { signal: request.signal }),
  });
  sent.on("upgrade", (response, socket, head) => {
    if (head.length > 0) socket.unshift(head);
    resolve({ contentType: String(response.headers["content-type"] ?? ""), socket });
  });
  sent.on("response", (response) =>
    readText(response).then((text) => reject(refusal({ status: response.statusCode ?? 0, text })), reject),
  );
  sent.on("error", (err) => reject(noAnswer(err, at.host)));
  sent.end(request.body === undefined ? undefined : JSON.stringify(request.body));
  return promise;
}

async function readText(response: AsyncIterable<unknown>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString();
}
