import {
  type ContainerConfig,
  type ContainerCreateBody,
  decodeContainerConfig,
  decodeHostConfig,
  type ExecCreateBody,
  type HostConfig,
} from "../../wire/mod.ts";

/** A body that says only which image it is of, and whose client attaches. */
export const emptyConfig: ContainerConfig = {
  ...decodeContainerConfig({}, ""),
  AttachStdout: true,
  AttachStderr: true,
  Image: "busybox",
};

export const emptyHostConfig: HostConfig = { ...decodeHostConfig({}, ""), NetworkMode: "none" };

export function body(config: Partial<ContainerConfig>, host: Partial<HostConfig> = {}): ContainerCreateBody {
  return { config: { ...emptyConfig, ...config }, hostConfig: { ...emptyHostConfig, ...host }, endpoints: {} };
}

/** `sh -c SCRIPT`. */
export function script(text: string, config: Partial<ContainerConfig> = {}): Partial<ContainerConfig> {
  return { Cmd: ["sh", "-c", text], ...config };
}

export function execBody(text: string, over: Partial<ExecCreateBody> = {}): ExecCreateBody {
  return {
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Env: null,
    Cmd: ["sh", "-c", text],
    Privileged: false,
    User: "",
    WorkingDir: "",
    ...over,
  };
}
