import { boolean, type Decode, Fields, integer, list, record, string } from "./decode.ts";
import type { MountRequest } from "./mount.ts";

/** One of `HostConfig.Mounts`. */
export const decodeMount: Decode<MountRequest> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    Type: fields.get("Type", string, ""),
    ...fields.maybe("Source", string),
    Target: fields.get("Target", string, ""),
    ...fields.maybe("ReadOnly", boolean),
    ...fields.maybe("Consistency", string),
    ...fields.maybe("BindOptions", bindOptions),
    ...fields.maybe("VolumeOptions", volumeOptions),
    ...fields.maybe("TmpfsOptions", tmpfsOptions),
    ...fields.maybe("IDMap", string),
    ...fields.maybe("ImageOptions", (value, at) => new Fields(value, at).maybe("Subpath", string)),
  };
};

const bindOptions: Decode<NonNullable<MountRequest["BindOptions"]>> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("Propagation", string),
    ...fields.maybe("NonRecursive", boolean),
    ...fields.maybe("CreateMountpoint", boolean),
    ...fields.maybe("ReadOnlyNonRecursive", boolean),
    ...fields.maybe("ReadOnlyForceRecursive", boolean),
  };
};

const volumeOptions: Decode<NonNullable<MountRequest["VolumeOptions"]>> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("NoCopy", boolean),
    ...fields.maybe("Labels", record(string)),
    ...fields.maybe("DriverConfig", driverConfig),
    ...fields.maybe("Subpath", string),
  };
};

const driverConfig: Decode<{ Name?: string; Options?: Readonly<Record<string, string>> }> = (json, path) => {
  const fields = new Fields(json, path);
  return { ...fields.maybe("Name", string), ...fields.maybe("Options", record(string)) };
};

const tmpfsOptions: Decode<NonNullable<MountRequest["TmpfsOptions"]>> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("SizeBytes", integer),
    ...fields.maybe("Mode", integer),
    ...fields.maybe("Options", list(list(string))),
  };
};
