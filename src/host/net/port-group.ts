import { closeSync } from "node:fs";
import { type Parcel, pack, parcelSize, unpack } from "./parcel.ts";
import { bindPort, type PortGroup, type PortRequest } from "./port.ts";

/** See {@link PortGroup}. */
export function createPortGroup(): PortGroup {
  return new Group();
}

class Group implements PortGroup {
  /** Descriptors by port. */
  #loose = new Map<string, number>();
  /** With the ports of what is in it, in that order. */
  #packed: { readonly parcel: Parcel; readonly keys: readonly string[] }[] = [];

  reserve(request: PortRequest): number {
    const { fd, port } = bindPort(request);
    this.#loose.set(keyOf({ ...request, port }), fd);
    if (this.#loose.size >= parcelSize) this.#pack();
    return port;
  }

  release(ports: readonly PortRequest[]): void {
    const going = new Set(ports.map(keyOf));
    const touched = this.#packed.filter(({ keys }) => keys.some((key) => going.has(key)));
    this.#packed = this.#packed.filter((one) => !touched.includes(one));
    for (const { parcel, keys } of touched) {
      if (keys.every((key) => going.has(key))) closeSync(parcel);
      else for (const [index, fd] of unpack(parcel).entries()) this.#loose.set(keys[index] ?? "", fd);
      this.#close(going);
      if (this.#loose.size >= parcelSize) this.#pack();
    }
    this.#close(going);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#loose.values()) closeSync(fd);
    for (const { parcel } of this.#packed) closeSync(parcel);
    this.#loose.clear();
    this.#packed = [];
  }

  #close(going: ReadonlySet<string>): void {
    for (const key of going) {
      const fd = this.#loose.get(key);
      if (fd !== undefined) closeSync(fd);
      this.#loose.delete(key);
    }
  }

  #pack(): void {
    const some = [...this.#loose].slice(0, parcelSize);
    const parcel = pack(some.map(([, fd]) => fd));
    if (parcel === undefined) return;
    const keys = some.map(([key]) => key);
    this.#packed.push({ parcel, keys });
    for (const key of keys) this.#loose.delete(key);
  }
}

function keyOf({ protocol, address, port }: PortRequest): string {
  return `${protocol} ${address} ${port}`;
}
