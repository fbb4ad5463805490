import type { ContainerSummary } from "./container.ts";
import type { ImageSummary } from "./image.ts";
import type { VolumeInspect } from "./network.ts";

/** One item of `GET /system/df`'s build cache. */
export interface BuildCacheRecord {
  readonly ID: string;
  readonly Parents?: readonly string[];
  readonly Type: string;
  readonly Description: string;
  readonly InUse: boolean;
  readonly Shared: boolean;
  /** Bytes. */
  readonly Size: number;
  readonly CreatedAt: string;
  readonly LastUsedAt: string | null;
  readonly UsageCount: number;
}

export type DiskUsageType = "container" | "image" | "volume" | "build-cache";

/** `GET /system/df`: only the parts that were asked for. */
export interface DiskUsage {
  readonly LayersSize?: number;
  readonly Images?: readonly ImageSummary[];
  readonly Containers?: readonly ContainerSummary[];
  readonly Volumes?: readonly VolumeInspect[];
  readonly BuildCache?: readonly BuildCacheRecord[];
}
