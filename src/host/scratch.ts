import { EngineError } from "../errors/mod.ts";
import { address } from "./libc.ts";

/**
 * Memory for arguments of `syscall`, which sees plain addresses: a buffer that is only known by its address could be
 * collected before the call. One a thread, good until the next use, which is enough since the calls are synchronous.
 */
const pathMax = 4096;
const path = new Uint8Array(pathMax + 1);
const words = new BigUint64Array(4);
const pathAddress = address(path);
const wordsAddress = address(new Uint8Array(words.buffer));

/** Address of a NUL-terminated copy. Throws "invalid" for a NUL inside and for more than PATH_MAX bytes. */
export function scratchPath(text: string | Uint8Array): bigint {
  const bytes = Buffer.from(text as string);
  if (bytes.includes(0)) throw new EngineError("invalid", `NUL byte in path ${JSON.stringify(String(bytes))}`);
  if (bytes.length >= pathMax) throw new EngineError("invalid", `Path of ${bytes.length} bytes is too long`);
  path.set(bytes);
  path[bytes.length] = 0;
  return pathAddress;
}

/** Address of up to four 64-bit words, as structs such as open_how and mount_attr are made of. */
export function scratchWords(values: readonly (number | bigint)[]): bigint {
  words.fill(0n);
  for (const [at, value] of values.entries()) words[at] = BigInt(value);
  return wordsAddress;
}
