import { bool, choice, text } from "../flags/mod.ts";
import { logLevels } from "../log/mod.ts";

export const registryFlags = {
  listen: text("Address to serve on", { initial: "127.0.0.1:5000", placeholder: "HOST:PORT" }),
  storage: text("Directory that holds the registry", { initial: "/var/lib/berth-registry", placeholder: "DIR" }),
  "log-level": choice("Least important lines to log", { short: "l", of: logLevels, initial: "info" }),
  help: bool("Show this help"),
};
