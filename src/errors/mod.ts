export { causeOf, EngineError, type ErrorKind, isKind, kindOf, messageOf, wrap } from "./errors.ts";
