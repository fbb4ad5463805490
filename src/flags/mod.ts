export { parseBytes, parseUlimit, type UlimitValue } from "./amounts.ts";
export {
  bool,
  choice,
  type Flag,
  type FlagSet,
  integer,
  list,
  listOf,
  optionalText,
  type Parsed,
  type ParseOptions,
  parseFlags,
  text,
  type Values,
  value,
} from "./flags.ts";
