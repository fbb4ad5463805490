import { randomBytes } from "node:crypto";
import type { Client } from "../../client/mod.ts";
import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import type { ContainerCreateAnswer, ContainerInspect } from "../../wire/mod.ts";
import { containerPath } from "./path.ts";

export interface Replacement {
  readonly answer: ContainerCreateAnswer;
  /** The id of the container that had the name, and is gone now. */
  readonly replaced?: string;
}

/**
 * Creates a container in the place of the one that has its name: `create` makes it under the name that it is given. The old
 * one goes once the new one is there, so a creation that fails leaves it as it was. Throws what `create` throws, or says
 * which of the two is left under which name.
 */
export async function replacing(
  client: Client,
  name: string,
  create: (name: string) => Promise<ContainerCreateAnswer>,
): Promise<Replacement> {
  const old = await holderOf(client, name);
  if (old === undefined) return { answer: await create(name) };
  const meanwhile = `${name}-replacing-${randomBytes(4).toString("hex")}`;
  const answer = await create(meanwhile);
  await removeOld(client, { name, old, successor: answer.Id });
  try {
    await client.status({ method: "POST", path: containerPath(answer.Id, "/rename"), query: { name } });
  } catch (err) {
    const state = `The container ${name} (${old.slice(0, 12)}) was removed, and its successor is called ${meanwhile}`;
    throw new EngineError("conflict", `${state}, since it could not be renamed: ${messageOf(err)}`, { cause: err });
  }
  return { answer, replaced: old };
}

async function holderOf(client: Client, name: string): Promise<string | undefined> {
  try {
    const found = await client.json<ContainerInspect>({ method: "GET", path: containerPath(name, "/json") });
    return found.Name === `/${name.replace(/^\//, "")}` ? found.Id : undefined; // not one whose id begins like this
  } catch (err) {
    if (isKind(err, "not-found")) return undefined;
    throw err;
  }
}

interface Succession {
  readonly name: string;
  readonly old: string;
  readonly successor: string;
}

/** It may be on its way out by its own --rm. What cannot be removed stays, and its successor goes. */
async function removeOld(client: Client, { name, old, successor }: Succession): Promise<void> {
  const remove = (id: string) =>
    client.status({ method: "DELETE", path: containerPath(id), query: { force: true } }).catch((err: unknown) => {
      if (!isKind(err, "not-found")) throw err;
    });
  try {
    await remove(old).catch(async (err: unknown) => {
      if (!isKind(err, "conflict")) throw err;
      const query = { condition: "removed" };
      const signal = AbortSignal.timeout(10_000);
      await client.json({ method: "POST", path: containerPath(old, "/wait"), query, signal }).catch(() => undefined);
      await remove(old);
    });
  } catch (err) {
    await remove(successor);
    throw new EngineError(
      "conflict",
      `The container ${name} cannot be replaced, and is left as it is: ${messageOf(err)}`,
      {
        cause: err,
      },
    );
  }
}
