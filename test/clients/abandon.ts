/**
 * Makes a container, a network and a volume with a reaper of its own to look after them, says which, and waits to be killed:
 * the test of the reaper. The session of a reaper that runs already would be shared with whoever started it.
 */
import { GenericContainer, getContainerRuntimeClient, getReaper, Network } from "testcontainers";

const image = process.env["CLIENTS_IMAGE"] ?? "";
const client = await getContainerRuntimeClient();
const reaper = await getReaper(client);
const label = { "org.testcontainers.session-id": reaper.sessionId };
const network = await new Network().start();
const container = await new GenericContainer(image).withCommand(["sleep", "1000"]).withNetwork(network).start();
const volume = await client.container.dockerode.createVolume({ Labels: label });
const made = {
  container: container.getId(),
  network: network.getId(),
  volume: volume.name,
  reaper: reaper.containerId,
};
process.stdout.write(`${JSON.stringify(made)}\n`);
setInterval(() => undefined, 1000);
