import { nullLog } from "../../log/mod.ts";
import { createRegistryClient, type RegistryClient } from "../../registry-client/mod.ts";
import type { ProgressMessage } from "../../wire/mod.ts";
import { createTransfer } from "../transfer.ts";
import { setUp } from "./setup.ts";

/** Images on fakes with a real client of registries, and what it tells. */
export async function engine(wrap: (client: RegistryClient) => Partial<RegistryClient> = () => ({})) {
  const t = await setUp();
  const client = createRegistryClient({ mirrors: [], insecure: [], log: nullLog, retryDelay: 1 });
  const transfer = createTransfer({ images: t.images, registry: { ...client, ...wrap(client) } });
  const said: ProgressMessage[] = [];
  const options = { signal: new AbortController().signal, progress: (message: ProgressMessage) => said.push(message) };
  const lines = () =>
    said.splice(0).map(({ id, status, aux }) => (aux ? JSON.stringify(aux) : id ? `${id}: ${status}` : status));
  return { ...t, client, transfer, said, options, lines, [Symbol.dispose]: () => t[Symbol.dispose]() };
}
