export {
  bool,
  choice,
  type Flag,
  type FlagSet,
  integer,
  list,
  type Parsed,
  type ParseOptions,
  parseFlags,
  text,
  type Values,
} from "./flags.ts";
