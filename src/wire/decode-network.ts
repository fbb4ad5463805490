import { EngineError } from "../errors/mod.ts";
import type { EndpointConfig } from "./container.ts";
import { boolean, type Decode, Fields, integer, list, nullable, record, string } from "./decode.ts";
import type {
  Ipam,
  IpamPool,
  NetworkConnectBody,
  NetworkCreateBody,
  NetworkDisconnectBody,
  VolumeCreateBody,
  VolumeUpdateBody,
} from "./network.ts";

/** What a container wants of one network. */
export const decodeEndpointConfig: Decode<EndpointConfig> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("IPAMConfig", endpointIpam),
    ...fields.maybe("Links", list(string)),
    ...fields.maybe("Aliases", list(string)),
    ...fields.maybe("MacAddress", string),
    ...fields.maybe("DriverOpts", record(string)),
    ...fields.maybe("GwPriority", integer),
  };
};

const endpointIpam: Decode<NonNullable<EndpointConfig["IPAMConfig"]>> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("IPv4Address", string),
    ...fields.maybe("IPv6Address", string),
    ...fields.maybe("LinkLocalIPs", list(string)),
  };
};

/** `POST /networks/create`. */
export const decodeNetworkCreate: Decode<NetworkCreateBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  const flag = (name: string) => fields.get(name, boolean, false);
  return {
    Name: fields.required("Name"),
    Driver: fields.get("Driver", string, ""),
    ...fields.maybe("Scope", string),
    Internal: flag("Internal"),
    Attachable: flag("Attachable"),
    Ingress: flag("Ingress"),
    ConfigOnly: flag("ConfigOnly"),
    ...fields.maybe("EnableIPv4", boolean),
    ...fields.maybe("EnableIPv6", boolean),
    ...fields.maybe("ConfigFrom", configFrom),
    ...fields.maybe("IPAM", ipam),
    Options: fields.get("Options", record(string), {}),
    Labels: fields.get("Labels", record(string), {}),
  };
};

const configFrom: Decode<string> = (json, path) => new Fields(json, path).get("Network", string, "");

const ipam: Decode<Partial<Ipam>> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("Driver", string),
    ...fields.maybe("Options", record(string)),
    ...fields.maybe("Config", list(ipamPool)),
  };
};

const ipamPool: Decode<IpamPool> = (json, path) => {
  const fields = new Fields(json, path);
  return {
    ...fields.maybe("Subnet", string),
    ...fields.maybe("IPRange", string),
    ...fields.maybe("Gateway", string),
    ...fields.maybe("AuxiliaryAddresses", record(string)),
  };
};

/** `POST /networks/{id}/connect`. */
export const decodeNetworkConnect: Decode<NetworkConnectBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  return {
    Container: fields.required("Container"),
    EndpointConfig: fields.get("EndpointConfig", decodeEndpointConfig, {}),
  };
};

/** `POST /networks/{id}/disconnect`. */
export const decodeNetworkDisconnect: Decode<NetworkDisconnectBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  return { Container: fields.required("Container"), Force: fields.get("Force", boolean, false) };
};

/** `POST /volumes/create`; without a name the volume is anonymous. Throws "not-implemented" for cluster volumes. */
export const decodeVolumeCreate: Decode<VolumeCreateBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  if (fields.has("ClusterVolumeSpec"))
    throw new EngineError("not-implemented", "ClusterVolumeSpec is not implemented by Berth yet");
  return {
    Name: fields.get("Name", string, ""),
    Driver: fields.get("Driver", string, ""),
    DriverOpts: fields.get("DriverOpts", record(string), {}),
    Labels: fields.get("Labels", record(string), {}),
  };
};

/** `POST /volumes/{name}/update`. */
export const decodeVolumeUpdate: Decode<VolumeUpdateBody> = (json, path) => {
  const fields = new Fields(json ?? {}, path);
  return { ...fields.maybe("Size", string), Labels: fields.get("Labels", record(nullable(string)), {}) };
};
