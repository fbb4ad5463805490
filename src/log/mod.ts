export { createLog, type Fields, type Log, type LogLevel, logLevels, nullLog } from "./log.ts";
