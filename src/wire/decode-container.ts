import { EngineError } from "../errors/mod.ts";
import type {
  ContainerConfig,
  ContainerCreateBody,
  ExecCreateBody,
  ExecStartBody,
  HealthConfig,
  PortMap,
  UpdateBody,
} from "./container.ts";
import { boolean, type Decode, emptyObject, Fields, integer, list, partial, record, string, words } from "./decode.ts";
import { consoleSize, decodeHostConfig, portMap, resourceTable, restartPolicy } from "./decode-host-config.ts";
import { decodeEndpointConfig } from "./decode-network.ts";

/** `POST /containers/create`: a configuration, with `HostConfig` and `NetworkingConfig` inside it. */
export const decodeContainerCreate: Decode<ContainerCreateBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  const networking = new Fields(
    fields.get("NetworkingConfig", (value) => value, {}),
    "NetworkingConfig",
  );
  return {
    config: decodeContainerConfig(json ?? {}, path),
    hostConfig: fields.get("HostConfig", decodeHostConfig, undefined) ?? decodeHostConfig({}),
    endpoints: networking.get("EndpointsConfig", record(endpointOrNull), {}),
  };
};

/** Clients write `{"mynet": null}` for "this network, nothing special". */
function endpointOrNull(json: unknown, path?: string) {
  return decodeEndpointConfig(json ?? {}, path);
}

export const decodeContainerConfig: Decode<ContainerConfig> = (json, path) => {
  const fields = new Fields(json, path);
  const text = (name: string) => fields.get(name, string, "");
  const flag = (name: string) => fields.get(name, boolean, false);
  return {
    Hostname: text("Hostname"),
    Domainname: text("Domainname"),
    User: text("User"),
    AttachStdin: flag("AttachStdin"),
    AttachStdout: flag("AttachStdout"),
    AttachStderr: flag("AttachStderr"),
    ...fields.maybe("ExposedPorts", record(emptyObject)),
    Tty: flag("Tty"),
    OpenStdin: flag("OpenStdin"),
    StdinOnce: flag("StdinOnce"),
    Env: fields.get("Env", list(string), []),
    Cmd: fields.get("Cmd", words, null),
    ...fields.maybe("Healthcheck", healthcheck),
    ...fields.maybe("ArgsEscaped", boolean),
    Image: text("Image"),
    Volumes: fields.get("Volumes", record(emptyObject), null),
    WorkingDir: text("WorkingDir"),
    Entrypoint: fields.get("Entrypoint", words, null),
    ...fields.maybe("NetworkDisabled", boolean),
    ...fields.maybe("MacAddress", string),
    OnBuild: fields.get("OnBuild", list(string), null),
    Labels: fields.get("Labels", record(string), {}),
    ...fields.maybe("StopSignal", string),
    ...fields.maybe("StopTimeout", integer),
    ...fields.maybe("Shell", words),
  };
};

const healthcheck: Decode<HealthConfig> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("Test", words),
    ...fields.maybe("Interval", integer),
    ...fields.maybe("Timeout", integer),
    ...fields.maybe("Retries", integer),
    ...fields.maybe("StartPeriod", integer),
    ...fields.maybe("StartInterval", integer),
  };
};

/** A key of PortMap or ExposedPorts as the engine keeps it: ports without a protocol are tcp. */
export function fullPort(port: string): string {
  return port.includes("/") ? port.toLowerCase() : `${port}/tcp`;
}

/** `POST /containers/ID/publish`: `{"PortBindings": …}` as in HostConfig; ports without a protocol are tcp. Throws "invalid" when there are none. */
export const decodePortBindings: Decode<PortMap> = (json, path) => {
  const ports = Object.entries(new Fields(json, path).get("PortBindings", portMap, {}));
  const full = ports.map(([port, bindings]) => [
    fullPort(port),
    bindings?.length ? bindings : [{ HostIp: "", HostPort: "" }],
  ]);
  if (full.length === 0) throw new EngineError("invalid", "PortBindings is required, with one port at least");
  return Object.fromEntries(full);
};

/** `POST /containers/{id}/update`: only what was sent. */
export const decodeUpdate: Decode<UpdateBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  return { ...partial(fields, resourceTable), ...fields.maybe("RestartPolicy", restartPolicy) };
};

/** `POST /containers/{id}/exec`. */
export const decodeExecCreate: Decode<ExecCreateBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  const flag = (name: string) => fields.get(name, boolean, false);
  return {
    AttachStdin: flag("AttachStdin"),
    AttachStdout: flag("AttachStdout"),
    AttachStderr: flag("AttachStderr"),
    ...fields.maybe("DetachKeys", string),
    Tty: flag("Tty"),
    Env: fields.get("Env", list(string), null),
    Cmd: fields.get("Cmd", words, []),
    Privileged: flag("Privileged"),
    User: fields.get("User", string, ""),
    WorkingDir: fields.get("WorkingDir", string, ""),
    ...fields.maybe("ConsoleSize", consoleSize),
  };
};

/** `POST /exec/{id}/start`; clients may leave the body away. */
export const decodeExecStart: Decode<ExecStartBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  return {
    Detach: fields.get("Detach", boolean, false),
    Tty: fields.get("Tty", boolean, false),
    ...fields.maybe("ConsoleSize", consoleSize),
  };
};
