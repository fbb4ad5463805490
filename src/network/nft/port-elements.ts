import type { ElementChange } from "../../host/mod.ts";
import { parseAddress } from "../address.ts";
import { bytes6 } from "../address6.ts";
import { protocolNumbers } from "../ports.ts";
import { familyOf, isAnywhere, type NftPort } from "./state.ts";

/** The change of one element that publishes a port, or ends it. */
export function portElement(change: "add" | "delete", port: NftPort): ElementChange {
  const where = isAnywhere(port) ? Buffer.alloc(0) : addressBytes(port.hostAddress);
  const key = Buffer.alloc(where.length + 8);
  key.set(where);
  key.writeUInt8(protocolNumbers[port.protocol], where.length);
  key.writeUInt16BE(port.hostPort, where.length + 4);
  const address = addressBytes(port.address);
  const value = Buffer.alloc(address.length + 4);
  value.set(address);
  value.writeUInt16BE(port.containerPort, address.length);
  return { change, set: `${isAnywhere(port) ? "any" : "addr"}${familyOf(port) === "ip6" ? 6 : 4}`, key, value };
}

function addressBytes(text: string): Buffer {
  if (text.includes(":")) return bytes6(text);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseAddress(text) ?? 0);
  return bytes;
}
