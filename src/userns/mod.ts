export { openUserNamespaces, type UserNamespacesOptions } from "./open.ts";
export { defaultUser } from "./remap.ts";
export { rootOf } from "./stage.ts";
export type * from "./userns.ts";
