import { expect, test } from "bun:test";
import { listeners } from "./listening.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0
`;
const six = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0000000000000000 100 0 0 10 0
`;

test("sockets that listen on a port, out of /proc/net/tcp and tcp6", () => {
  expect(listeners(table, 8080)).toEqual(["31337"]);
  expect(listeners(six, 8080)).toEqual(["7"]);
  expect(listeners(table, 80)).toEqual(["99"]);
  expect(listeners(table, 0xd431)).toEqual([]);
  expect(listeners(table, 0)).toEqual([]);
  expect(listeners("", 80)).toEqual([]);
  expect(listeners("garbage\n: :0050 x 0A", 80)).toEqual([]);
});
