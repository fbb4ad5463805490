import { create } from "@bufbuild/protobuf";
import type { Builder } from "../builder/mod.ts";
import { control, timestampOf } from "../proto/mod.ts";
import type { BuildCacheRecord } from "../wire/mod.ts";

export async function diskUsage(builder: Pick<Builder, "usage">) {
  return { record: (await builder.usage()).map(recordOf) };
}

/** Every entry that went is told, as far as it was known before. */
export async function* prune(builder: Pick<Builder, "usage" | "prune">, request: control.PruneRequest) {
  const { all, filter, keepBytes, keepDuration } = request;
  const filters = filter
    .filter((text) => text !== "")
    .map((text) => /^(\w+)(?:==|=|~=)(.*)$/.exec(text) ?? [text, text, ""]);
  const until: (readonly [string, string[]])[] =
    keepDuration > 0n ? [["until", [`${keepDuration / 1_000_000_000n}s`]]] : [];
  const before = new Map((await builder.usage()).map((record) => [record.ID, record]));
  const given = filters.map(([, name = "", value = ""]): [string, string[]] => [name, [value]]);
  const { deleted } = await builder.prune(new Map([...given, ...until]), { all, reserved: Number(keepBytes) });
  for (const id of deleted) yield recordOf(before.get(id) ?? { ID: id });
}

function recordOf(record: Partial<BuildCacheRecord>): control.UsageRecord {
  return create(control.UsageRecordSchema, {
    id: record.ID ?? "",
    inUse: record.InUse ?? false,
    shared: record.Shared ?? false,
    size: BigInt(record.Size ?? 0),
    ...(record.CreatedAt && { createdAt: timestampOf(Date.parse(record.CreatedAt)) }),
    ...(record.LastUsedAt && { lastUsedAt: timestampOf(Date.parse(record.LastUsedAt)) }),
    usageCount: BigInt(record.UsageCount ?? 0),
    description: record.Description ?? "",
    recordType: record.Type ?? "",
  });
}
