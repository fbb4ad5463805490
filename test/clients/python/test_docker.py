"""Debian's python3-docker (docker-py) against the engine that DOCKER_HOST names."""

import io
import os
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest
import uuid

import docker
import docker.errors
import docker.types
import docker.utils.socket

IMAGE = "clients-busybox:latest"
LABEL = "clients-python"


def archive(**files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


class Case(unittest.TestCase):
    def setUp(self):
        self.client = docker.from_env()
        self.label = f"{LABEL}-{uuid.uuid4().hex[:8]}"
        self.addCleanup(self.clean)

    def clean(self):
        mine = {"label": self.label}
        for one in self.client.containers.list(all=True, filters=mine, ignore_removed=True):
            one.remove(force=True, v=True)
        for one in self.client.networks.list(filters=mine):
            one.remove()
        for one in self.client.volumes.list(filters=mine):
            one.remove(force=True)
        self.client.close()

    def run_(self, command, **options):
        return self.client.containers.run(IMAGE, command, labels=[self.label], **options)

    def create(self, command=None, **options):
        return self.client.containers.create(IMAGE, command, labels=[self.label], **options)

    def sleeper(self, **options):
        return self.run_(["sleep", "100"], detach=True, **options)

    def until(self, holds, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), end, "waited in vain")
            time.sleep(0.02)


class Run(Case):
    def test_output(self):
        self.assertEqual(self.run_(["echo", "hello"]), b"hello\n")

    def test_stderr_only(self):
        made = self.run_(["sh", "-c", "echo out; echo err >&2"], stdout=False, stderr=True)
        self.assertEqual(made, b"err\n")

    def test_failure_raises_with_stderr(self):
        with self.assertRaises(docker.errors.ContainerError) as caught:
            self.run_(["sh", "-c", "echo why >&2; exit 7"])
        self.assertEqual(caught.exception.exit_status, 7)
        self.assertIn(b"why", caught.exception.stderr)

    def test_remove(self):
        self.run_(["true"], remove=True, name=self.label)
        with self.assertRaises(docker.errors.NotFound):
            self.client.containers.get(self.label)

    def test_image_that_is_not_there(self):
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.containers.create("clients-none:latest", "true")

    def test_options(self):
        made = self.run_(
            ["sh", "-c", "echo $A; pwd; id -u; hostname; cat /proc/sys/net/ipv4/ip_forward; ulimit -n; grep -c ' /s ' /proc/mounts"],
            environment={"A": "x y"}, working_dir="/tmp", user="alice", hostname="web",
            sysctls={"net.ipv4.ip_forward": "1"}, tmpfs={"/s": "size=1m"},
            ulimits=[docker.types.Ulimit(name="nofile", soft=64, hard=128)],
        )
        self.assertEqual(made, b"x y\n/tmp\n1000\nweb\n1\n64\n1\n")

    def test_stream(self):
        lines = self.run_(["sh", "-c", "echo a; echo b"], stream=True)
        self.assertEqual(b"".join(lines), b"a\nb\n")

    def test_volumes_and_mounts(self):
        volume = self.client.volumes.create(name=self.label, labels={self.label: ""})
        self.run_(["sh", "-c", "echo kept >/data/f"], volumes={volume.name: {"bind": "/data", "mode": "rw"}})
        mount = docker.types.Mount("/other", volume.name, read_only=True)
        self.assertEqual(self.run_(["cat", "/other/f"], mounts=[mount]), b"kept\n")

    def test_ports(self):
        made = self.sleeper(ports={"80/tcp": ("127.0.0.1", None), "53/udp": None})
        made.reload()
        self.assertEqual(made.ports["80/tcp"][0]["HostIp"], "127.0.0.1")
        self.assertGreater(int(made.ports["53/udp"][0]["HostPort"]), 1024)

    def test_limits_are_shown(self):
        made = self.create("true", mem_limit="64m", nano_cpus=500_000_000, pids_limit=50, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
        host = made.attrs["HostConfig"]
        self.assertEqual([host["Memory"], host["NanoCpus"], host["PidsLimit"]], [64 << 20, 500_000_000, 50])
        self.assertEqual(host["RestartPolicy"], {"Name": "on-failure", "MaximumRetryCount": 2})


class Lifecycle(Case):
    def test_start_stop_wait(self):
        made = self.create(["sh", "-c", "exit 3"])
        self.assertEqual(made.status, "created")
        made.start()
        self.assertEqual(made.wait()["StatusCode"], 3)
        made.reload()
        self.assertEqual((made.status, made.attrs["State"]["ExitCode"]), ("exited", 3))

    def test_wait_conditions(self):
        made = self.create(["true"])
        waited = []
        thread = threading.Thread(target=lambda: waited.append(made.wait(condition="next-exit")))
        thread.start()
        time.sleep(0.2)
        made.start()
        thread.join(30)
        self.assertEqual(waited[0]["StatusCode"], 0)

    def test_stop_kill_restart(self):
        made = self.sleeper()
        made.stop(timeout=0)
        made.restart(timeout=0)
        made.kill(signal="SIGKILL")
        self.assertEqual(made.wait()["StatusCode"], 137)

    def test_pause(self):
        made = self.sleeper()
        made.pause()
        made.reload()
        self.assertEqual(made.status, "paused")
        made.unpause()
        made.reload()
        self.assertEqual(made.status, "running")

    def test_rename(self):
        made = self.create("true")
        made.rename(f"{self.label}-new")
        self.assertEqual(self.client.containers.get(f"{self.label}-new").id, made.id)

    def test_update(self):
        made = self.create("true", mem_limit="64m")
        made.update(mem_limit="32m", restart_policy={"Name": "always"})
        made.reload()
        self.assertEqual(made.attrs["HostConfig"]["Memory"], 32 << 20)
        self.assertEqual(made.attrs["HostConfig"]["RestartPolicy"]["Name"], "always")

    def test_errors(self):
        made = self.sleeper()
        with self.assertRaises(docker.errors.APIError) as caught:
            made.remove()
        self.assertEqual(caught.exception.status_code, 409)
        made.kill()
        made.wait()
        with self.assertRaises(docker.errors.APIError) as caught:
            made.kill()
        self.assertEqual(caught.exception.status_code, 409)
        with self.assertRaises(docker.errors.NotFound):
            self.client.containers.get("clients-none")

    def test_list_and_filters(self):
        made = self.sleeper(name=self.label)
        ended = self.create("true")
        ids = lambda **given: {one.id for one in self.client.containers.list(**given)}
        mine = {"label": self.label}
        self.assertEqual(ids(filters=mine), {made.id})
        self.assertEqual(ids(all=True, filters=mine), {made.id, ended.id})
        self.assertEqual(ids(filters={**mine, "status": "created"}), {ended.id})
        self.assertEqual(ids(all=True, filters={**mine, "name": self.label}), {made.id})
        self.assertEqual(ids(all=True, filters={**mine, "ancestor": IMAGE}), {made.id, ended.id})
        self.assertEqual(ids(all=True, filters={**mine, "since": made.id}), {ended.id})
        self.assertEqual(ids(all=True, filters={**mine, "before": ended.id}), {made.id})
        self.assertEqual(ids(sparse=True, filters=mine), {made.id})

    def test_prune(self):
        made = self.create("true")
        pruned = self.client.containers.prune(filters={"label": self.label})
        self.assertEqual(pruned["ContainersDeleted"], [made.id])
        self.assertEqual(self.client.containers.prune(filters={"label": self.label})["ContainersDeleted"] or [], [])

    def test_remove_with_volumes(self):
        made = self.create("true", volumes=["/data"])
        name = made.attrs["Mounts"][0]["Name"]
        made.remove(v=True)
        with self.assertRaises(docker.errors.NotFound):
            self.client.volumes.get(name)


class Streams(Case):
    def test_exec(self):
        made = self.sleeper()
        self.assertEqual(made.exec_run(["echo", "x"]), (0, b"x\n"))
        self.assertEqual(made.exec_run("sh -c 'exit 5'").exit_code, 5)

    def test_exec_demux(self):
        made = self.sleeper()
        code, (out, err) = made.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
        self.assertEqual((code, out, err), (0, b"out\n", b"err\n"))

    def test_exec_options(self):
        made = self.sleeper()
        got = made.exec_run(["sh", "-c", "echo $A; pwd; id -u"], environment={"A": "1"}, workdir="/tmp", user="alice")
        self.assertEqual(got.output, b"1\n/tmp\n1000\n")

    def test_exec_stream(self):
        made = self.sleeper()
        code, chunks = made.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done"], stream=True)
        self.assertIsNone(code)
        self.assertEqual(b"".join(chunks), b"1\n2\n3\n")

    def test_exec_socket(self):
        made = self.sleeper()
        _, stream = made.exec_run(["cat"], stdin=True, socket=True)
        stream._sock.sendall(b"through\n")
        self.assertEqual(next(docker.utils.socket.frames_iter_no_tty(stream)), (1, b"through\n"))
        stream._sock.shutdown(socket.SHUT_WR)
        self.assertEqual(stream.read(), b"")
        stream.close()

    def test_exec_terminal_and_resize(self):
        made = self.sleeper()
        api = self.client.api
        created = api.exec_create(made.id, ["sh", "-c", "read x; stty size"], stdin=True, tty=True)
        stream = api.exec_start(created["Id"], tty=True, socket=True)
        api.exec_resize(created["Id"], height=33, width=77)
        stream._sock.sendall(b"go\n")
        self.assertIn(b"33 77", stream.read())
        self.assertEqual(api.exec_inspect(created["Id"])["ExitCode"], 0)
        stream.close()

    def test_exec_detached(self):
        made = self.sleeper()
        made.exec_run(["touch", "/made"], detach=True)
        self.until(lambda: made.exec_run(["test", "-e", "/made"]).exit_code == 0)

    def test_attach(self):
        made = self.create(["sh", "-c", "read line; echo got $line"], stdin_open=True)
        stream = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        made.start()
        stream._sock.sendall(b"hello\n")
        stream._sock.shutdown(socket.SHUT_WR)
        self.assertEqual(next(docker.utils.socket.frames_iter_no_tty(stream)), (1, b"got hello\n"))
        stream.close()

    def test_attach_logs(self):
        made = self.run_(["sh", "-c", "echo before; sleep 1; echo after"], detach=True)
        self.until(lambda: made.logs() == b"before\n")
        # docker-py may lose what comes together with the answer's head.
        self.assertTrue(b"".join(made.attach(stream=True, logs=True)).endswith(b"after\n"))

    def test_attach_demux(self):
        made = self.create(["sh", "-c", "echo out; sleep 0.1; echo err >&2"])
        stream = made.attach(stream=True, demux=True)
        made.start()
        self.assertEqual(list(stream), [(b"out\n", None), (None, b"err\n")])

    def test_logs(self):
        made = self.run_(["sh", "-c", "echo one; sleep 0.1; echo two >&2"], detach=True)
        made.wait()
        self.assertEqual(made.logs(), b"one\ntwo\n")
        self.assertEqual(made.logs(stderr=False), b"one\n")
        self.assertEqual(made.logs(tail=1), b"two\n")
        self.assertRegex(made.logs(timestamps=True, tail=1), rb"^\d{4}-\d\d-\d\dT.*Z two\n$")

    def test_logs_since_until(self):
        made = self.run_(["sh", "-c", "echo early; sleep 2.5; echo late"], detach=True)
        made.wait()
        start = made.logs(timestamps=True).split(b"\n")[0].split(b" ")[0].decode()
        at = time.mktime(time.strptime(start[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        self.assertEqual(made.logs(since=int(at) + 2), b"late\n")
        self.assertEqual(made.logs(until=int(at) + 2), b"early\n")

    def test_logs_follow(self):
        made = self.run_(["sh", "-c", "echo a; sleep 0.3; echo b"], detach=True)
        self.assertEqual(b"".join(made.logs(stream=True, follow=True)), b"a\nb\n")

    def test_frames(self):
        made = self.sleeper()
        created = self.client.api.exec_create(made.id, ["sh", "-c", "echo out"])
        stream = self.client.api.exec_start(created["Id"], socket=True)
        head = stream.read(8)
        self.assertEqual(struct.unpack(">BxxxL", head), (1, 4))
        stream.close()


class Files(Case):
    def test_put_archive(self):
        made = self.sleeper()
        self.assertTrue(made.put_archive("/tmp", archive(a=b"text", b=b"more")))
        self.assertEqual(made.exec_run(["cat", "/tmp/a", "/tmp/b"]).output, b"textmore")

    def test_put_archive_of_a_stopped_one(self):
        made = self.create(["cat", "/etc/put"])
        made.put_archive("/etc", archive(put=b"early\n"))
        made.start()
        made.wait()
        self.assertEqual(made.logs(), b"early\n")

    def test_get_archive(self):
        made = self.run_(["sh", "-c", "echo text >/tmp/f"], detach=True)
        made.wait()
        chunks, stat = made.get_archive("/tmp/f")
        self.assertEqual((stat["name"], stat["size"]), ("f", 5))
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            self.assertEqual(tar.extractfile("f").read(), b"text\n")

    def test_archives_of_nothing(self):
        made = self.create("true")
        with self.assertRaises(docker.errors.NotFound):
            made.get_archive("/none")
        with self.assertRaises(docker.errors.NotFound):
            made.put_archive("/none", archive(a=b"x"))

    def test_diff(self):
        made = self.run_(["sh", "-c", "echo x >/tmp/f; rm /etc/group"], detach=True)
        made.wait()
        self.assertIn({"Path": "/tmp/f", "Kind": 1}, made.diff())
        self.assertIn({"Path": "/etc/group", "Kind": 2}, made.diff())

    def test_export(self):
        made = self.run_(["sh", "-c", "echo x >/made"], detach=True)
        made.wait()
        with tarfile.open(fileobj=io.BytesIO(b"".join(made.export()))) as tar:
            self.assertEqual(tar.extractfile("made").read(), b"x\n")

    def test_commit(self):
        made = self.run_(["sh", "-c", "echo x >/made"], detach=True)
        made.wait()
        image = made.commit(repository="clients-committed", tag="1", author="me", changes=["ENV B=2", 'CMD ["cat","/made"]'])
        self.addCleanup(self.client.images.remove, "clients-committed:1", force=True)
        self.assertEqual(image.attrs["Author"], "me")
        got = self.client.containers.run("clients-committed:1", remove=True, labels=[self.label])
        self.assertEqual(got, b"x\n")


class Watching(Case):
    def test_top(self):
        made = self.sleeper()
        top = made.top(ps_args="-eo pid,comm")
        self.assertEqual(top["Titles"], ["PID", "COMMAND"])
        self.assertEqual([row[1] for row in top["Processes"]], ["sleep"])

    def test_stats(self):
        made = self.sleeper(mem_limit="64m")
        stats = made.stats(stream=False)
        self.assertEqual(stats["memory_stats"]["limit"], 64 << 20)
        self.assertGreaterEqual(stats["cpu_stats"]["system_cpu_usage"], stats["precpu_stats"]["system_cpu_usage"])
        self.assertEqual(stats["id"], made.id)

    def test_stats_stream(self):
        made = self.sleeper()
        stream = made.stats(decode=True)
        first, second = next(stream), next(stream)
        self.assertLess(first["read"], second["read"])
        stream.close()

    def test_events(self):
        events = self.client.events(decode=True, filters={"label": self.label})
        self.run_(["true"])
        seen = []
        while "die" not in seen:
            seen.append(next(events)["Action"])
        events.close()
        self.assertEqual([one for one in seen if one != "attach"], ["create", "start", "die"])

    def test_events_since_until(self):
        since = int(time.time())
        self.run_(["true"])
        until = int(time.time()) + 1
        seen = list(self.client.events(decode=True, since=since, until=until, filters={"label": self.label, "event": "die"}))
        self.assertEqual([one["Actor"]["Attributes"]["exitCode"] for one in seen], ["0"])

    def test_health(self):
        check = {"test": ["CMD-SHELL", "test -e /well"], "interval": 200_000_000, "retries": 1, "timeout": 1_000_000_000}
        made = self.sleeper(healthcheck=check)
        health = lambda: self.client.api.inspect_container(made.id)["State"].get("Health", {}).get("Status")
        self.until(lambda: health() == "unhealthy")
        made.exec_run(["touch", "/well"])
        self.until(lambda: health() == "healthy")
        made.reload()
        self.assertEqual(made.attrs["State"]["Health"]["FailingStreak"], 0)


class Networks(Case):
    def make(self, suffix="", **options):
        return self.client.networks.create(self.label + suffix, labels={self.label: "x"}, **options)

    def test_create_with_addresses(self):
        pool = docker.types.IPAMPool(subnet="10.92.118.0/24", iprange="10.92.118.128/25", gateway="10.92.118.254", aux_addresses={"router": "10.92.118.128"})
        ipam = docker.types.IPAMConfig(pool_configs=[pool])
        network = self.make(driver="bridge", ipam=ipam, internal=True, attachable=True, check_duplicate=True, options={"com.docker.network.driver.mtu": "1400"})
        attrs = network.attrs
        self.assertEqual((attrs["Internal"], attrs["Attachable"], attrs["Scope"], attrs["Driver"]), (True, True, "local", "bridge"))
        self.assertEqual(attrs["IPAM"]["Config"], [{
            "Subnet": "10.92.118.0/24", "IPRange": "10.92.118.128/25", "Gateway": "10.92.118.254",
            "AuxiliaryAddresses": {"router": "10.92.118.128"},
        }])
        made = self.run_(["sh", "-c", "ip -4 -o addr show eth0; cat /sys/class/net/eth0/mtu"], network=network.name)
        self.assertIn(b"10.92.118.129/24", made)
        self.assertIn(b"\n1400\n", made)

    def test_connect_with_address_and_link(self):
        pool = docker.types.IPAMPool(subnet="10.92.119.0/24")
        network = self.make(ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        db = self.sleeper(name=f"{self.label}-db", network=network.name)
        made = self.create(["sh", "-c", "ip -4 -o addr; ping -c 1 -W 5 store >/dev/null && echo linked"])
        self.client.networks.get("bridge").disconnect(made)
        network.connect(made, ipv4_address="10.92.119.77", links=[(db.name, "store")])
        made.start()
        made.wait()
        self.assertIn(b"10.92.119.77/24", made.logs())
        self.assertIn(b"linked", made.logs())

    def test_networking_config(self):
        network = self.make()
        api = self.client.api
        endpoint = api.create_endpoint_config(aliases=["one", "two"])
        created = api.create_container(
            IMAGE, ["sleep", "100"], labels=[self.label], host_config=api.create_host_config(network_mode=network.name),
            networking_config=api.create_networking_config({network.name: endpoint}),
        )
        api.start(created["Id"])
        got = api.inspect_container(created["Id"])["NetworkSettings"]["Networks"][network.name]["Aliases"]
        self.assertEqual(got[:2], ["one", "two"])
        self.assertEqual(self.run_(["sh", "-c", "ping -c 1 -W 5 two >/dev/null && echo there"], network=network.name), b"there\n")

    def test_list_and_filters(self):
        one, two = self.make("-one"), self.make("-two", internal=True)
        ids = lambda **given: {found.id for found in self.client.networks.list(**given)}
        mine = {"label": self.label}
        self.assertEqual(ids(filters=mine), {one.id, two.id})
        self.assertEqual(ids(filters={"label": f"{self.label}=x"}), {one.id, two.id})
        self.assertEqual(ids(names=[f"{self.label}-two"]), {two.id})
        self.assertEqual(ids(ids=[one.id[:20]]), {one.id})
        self.assertEqual(ids(filters={**mine, "driver": "bridge", "type": "custom"}), {one.id, two.id})
        self.assertEqual(ids(filters={**mine, "type": "builtin"}), set())
        made = self.sleeper(network=one.name)
        self.assertIn(two.id, ids(filters={**mine, "dangling": True}))
        full = self.client.networks.list(names=[one.name], greedy=True)
        self.assertEqual([found.id for found in full[0].containers], [made.id])
        self.assertEqual(self.client.networks.get(one.short_id).id, one.id)

    def test_errors(self):
        network = self.make()
        with self.assertRaises(docker.errors.NotFound):
            self.client.networks.get(f"{self.label}-none")
        with self.assertRaises(docker.errors.APIError) as caught:
            self.make(check_duplicate=True)
        self.assertEqual(caught.exception.status_code, 409)
        made = self.sleeper(network=network.name)
        with self.assertRaises(docker.errors.APIError) as caught:
            network.remove()
        self.assertEqual(caught.exception.status_code, 403)
        self.assertIn("has active endpoints", caught.exception.explanation)
        with self.assertRaises(docker.errors.APIError) as caught:
            network.connect(made)
        self.assertEqual(caught.exception.status_code, 403)
        network.disconnect(made, force=True)
        network.remove()
        with self.assertRaises(docker.errors.NotFound):
            network.reload()

    def test_prune(self):
        one, two = self.make("-one"), self.make("-two")
        self.sleeper(network=one.name)
        pruned = self.client.networks.prune(filters={"label": self.label})
        self.assertEqual(pruned["NetworksDeleted"], [two.name])

    def test_modes(self):
        made = self.sleeper()
        address = ["sh", "-c", "ip -4 -o addr show scope global"]
        shared = self.run_(address, network_mode=f"container:{made.id}")
        self.assertEqual(shared, made.exec_run(address).output)
        self.assertEqual(self.run_(address, network_disabled=True), b"")
        self.assertEqual(self.run_(address, network_mode="none"), b"")

    def test_published_ports_are_shown(self):
        made = self.sleeper(ports={"80/tcp": None, "81/tcp": [("127.0.0.1", None), ("127.0.0.2", None)]}, publish_all_ports=False)
        made.reload()
        self.assertEqual({one["HostIp"] for one in made.ports["81/tcp"]}, {"127.0.0.1", "127.0.0.2"})
        self.assertEqual(self.client.api.port(made.id, 80), made.ports["80/tcp"])

    def test_events(self):
        since = time.time()
        network = self.make()
        made = self.sleeper()
        network.connect(made)
        network.disconnect(made)
        network.remove()
        filters = {"type": "network", "network": network.name}
        seen = list(self.client.events(decode=True, since=int(since), until=int(time.time()) + 1, filters=filters))
        # dockerd 20.10 tells of a disconnection twice.
        self.assertEqual(list(dict.fromkeys(one["Action"] for one in seen)), ["create", "connect", "disconnect", "destroy"])
        self.assertEqual(seen[1]["Actor"]["Attributes"]["container"], made.id)

    def test_connect_and_disconnect(self):
        network = self.client.networks.create(self.label, labels={self.label: ""})
        made = self.sleeper()
        network.connect(made, aliases=["web"])
        made.reload()
        self.assertIn("web", made.attrs["NetworkSettings"]["Networks"][self.label]["Aliases"])
        network.reload()
        self.assertEqual([one.id for one in network.containers], [made.id])
        network.disconnect(made)
        made.reload()
        self.assertNotIn(self.label, made.attrs["NetworkSettings"]["Networks"])

    def test_links(self):
        self.sleeper(name=self.label)
        made = self.run_(["sh", "-c", "ping -c 1 -W 5 db >/dev/null && echo $DB_NAME"], links={self.label: "db"}, detach=True)
        self.assertEqual(made.wait()["StatusCode"], 0)
        self.assertIn(b"/db\n", made.logs())

    def test_names(self):
        network = self.client.networks.create(self.label, labels={self.label: ""})
        other = self.sleeper(name=f"{self.label}-a")
        network.connect(other, aliases=["web"])
        command = ["sh", "-c", f"for one in {self.label}-a web; do ping -c 1 -W 5 $one >/dev/null && echo $one; done"]
        self.assertEqual(self.run_(command, network=network.name), f"{self.label}-a\nweb\n".encode())


class Volumes(Case):
    def make(self, suffix="", **options):
        return self.client.volumes.create(name=self.label + suffix, labels={self.label: "x"}, **options)

    def test_create_and_inspect(self):
        volume = self.make(driver="local")
        attrs = self.client.volumes.get(volume.id).attrs
        self.assertEqual((attrs["Name"], attrs["Driver"], attrs["Scope"], attrs["Labels"]), (self.label, "local", "local", {self.label: "x"}))
        self.assertTrue(attrs["Mountpoint"])
        self.assertIn("CreatedAt", attrs)
        again = self.make()
        self.assertEqual(again.attrs["CreatedAt"], attrs["CreatedAt"])

    def test_without_a_name(self):
        volume = self.client.volumes.create(labels={self.label: ""})
        self.assertRegex(volume.name, "^[0-9a-f]{64}$")

    def test_list_and_filters(self):
        one, two = self.make("-one"), self.make("-two")
        names = lambda filters: {found.name for found in self.client.volumes.list(filters=filters)}
        self.assertEqual(names({"label": self.label}), {one.name, two.name})
        self.assertEqual(names({"label": f"{self.label}=x", "name": "-two"}), {two.name})
        self.assertEqual(names({"label": f"{self.label}=y"}), set())
        self.assertEqual(names({"label": self.label, "driver": "local"}), {one.name, two.name})
        self.create("true", volumes=[f"{one.name}:/data"])
        self.assertEqual(names({"label": self.label, "dangling": True}), {two.name})
        self.assertEqual(names({"label": self.label, "dangling": False}), {one.name})

    def test_in_use(self):
        volume = self.make()
        made = self.create("true", volumes={volume.name: {"bind": "/data"}})
        with self.assertRaises(docker.errors.APIError) as caught:
            volume.remove()
        self.assertEqual(caught.exception.status_code, 409)
        self.assertIn("volume is in use", caught.exception.explanation)
        made.remove()
        volume.remove()
        with self.assertRaises(docker.errors.NotFound):
            volume.reload()
        with self.assertRaises(docker.errors.NotFound):
            volume.remove()

    def test_prune(self):
        used, unused = self.make("-used"), self.make("-unused")
        self.create("true", volumes=[f"{used.name}:/data"])
        named = {"all": True} if docker.utils.version_gte(self.client.api._version, "1.42") else {}
        pruned = self.client.volumes.prune(filters={"label": self.label, **named})
        self.assertEqual(pruned["VolumesDeleted"], [unused.name])
        self.assertGreaterEqual(pruned["SpaceReclaimed"], 0)

    def test_shared_between_containers(self):
        volume = self.make()
        writer = self.run_(["sh", "-c", "echo shared >/data/f"], volumes=[f"{volume.name}:/data"], detach=True)
        writer.wait()
        self.assertEqual(self.run_(["cat", "/data/f"], volumes_from=[f"{writer.id}:ro"]), b"shared\n")
        made = self.create("true", volumes=[f"{volume.name}:/data:ro"])
        (mount,) = made.attrs["Mounts"]
        self.assertEqual((mount["Type"], mount["Name"], mount["Destination"], mount["RW"]), ("volume", volume.name, "/data", False))

    def test_filled_from_the_image(self):
        self.assertIn(b"passwd", self.run_(["ls", "/etc"], volumes=["/etc"]))
        copied = docker.types.Mount("/home", self.label, type="volume", labels={self.label: ""})
        self.assertEqual(self.run_(["ls", "/home"], mounts=[copied]), b"alice\n")
        plain = docker.types.Mount("/home", f"{self.label}-plain", type="volume", no_copy=True, labels={self.label: ""})
        self.assertEqual(self.run_(["ls", "/home"], mounts=[plain]), b"")

    def test_tmpfs_mount(self):
        mount = docker.types.Mount("/scratch", None, type="tmpfs", tmpfs_size=1 << 20, tmpfs_mode=0o1770)
        made = self.run_(["sh", "-c", "stat -c %a /scratch; df -k /scratch | tail -1 | tr -s ' ' | cut -d' ' -f2"], mounts=[mount])
        self.assertEqual(made, b"1770\n1024\n")

    def test_events(self):
        since = int(time.time())
        volume = self.make()
        volume.remove()
        filters = {"type": "volume", "volume": volume.name}
        seen = list(self.client.events(decode=True, since=since, until=int(time.time()) + 1, filters=filters))
        self.assertEqual([one["Action"] for one in seen], ["create", "destroy"])


class Images(Case):
    def setUp(self):
        super().setUp()
        self.tag = f"clients-{uuid.uuid4().hex[:8]}"

    def clean(self):
        super().clean()
        client = docker.from_env()
        for image in client.images.list(name=self.tag):
            for tag in image.tags:
                if tag.startswith(self.tag):
                    client.images.remove(tag, force=True)
        client.close()

    def test_tag_list_and_remove(self):
        image = self.client.images.get(IMAGE)
        self.assertTrue(image.tag(self.tag, tag="1"))
        self.assertIn(f"{self.tag}:1", [tag for one in self.client.images.list(name=self.tag) for tag in one.tags])
        self.assertIn(image.id, {one.id for one in self.client.images.list(filters={"reference": f"{self.tag}:*"})})
        self.client.images.remove(f"{self.tag}:1")
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.images.get(f"{self.tag}:1")
        self.assertTrue(image.history())

    def test_build(self):
        dockerfile = f"FROM {IMAGE} AS first\nARG WHO\nRUN echo $WHO >/who\nFROM first\nLABEL a=b\nCMD [\"cat\", \"/who\"]\n"
        image, log = self.client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=f"{self.tag}:built", buildargs={"WHO": "me"}, rm=True)
        self.assertEqual(image.labels["a"], "b")
        self.assertTrue(any("Successfully built" in line.get("stream", "") for line in log))
        self.assertEqual(self.client.containers.run(image.id, labels=[self.label]), b"me\n")
        self.client.containers.prune(filters={"label": self.label})

    def test_build_of_a_repository(self):
        with tempfile.TemporaryDirectory() as served:
            directory = f"{served}/repo/app"
            os.makedirs(directory)
            with open(f"{directory}/Dockerfile", "w") as file:
                file.write(f"FROM {IMAGE}\nLABEL from=git\nCOPY . /app\n")
            git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", f"{served}/repo"]
            for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
                subprocess.run([*git, *words], check=True)
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            server = subprocess.Popen(["git", "-c", "safe.directory=*", "daemon", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr", "--export-all", f"--base-path={served}", served], stderr=subprocess.DEVNULL)
            try:
                url = f"git://127.0.0.1:{port}/repo"
                self.until(lambda: subprocess.run(["git", "ls-remote", url], capture_output=True).returncode == 0)
                image, _ = self.client.images.build(path=f"{url}#main:app", tag=f"{self.tag}:git", rm=True)
                self.assertEqual(image.labels["from"], "git")
                with self.assertRaises(docker.errors.APIError) as caught:
                    self.client.images.build(path=f"{url}#main:nothing", rm=True)
                self.assertIn('there is no directory "nothing"', str(caught.exception))
            finally:
                server.terminate()
                server.wait()

    def test_failing_build(self):
        dockerfile = f"FROM {IMAGE}\nRUN echo before && exit 6\n"
        with self.assertRaises(docker.errors.BuildError) as caught:
            self.client.images.build(fileobj=io.BytesIO(dockerfile.encode()), rm=True)
        self.assertIn("returned a non-zero code: 6", str(caught.exception))
        self.assertTrue(any("before" in line.get("stream", "") for line in caught.exception.build_log))

    def test_save_and_load(self):
        self.client.images.get(IMAGE).tag(self.tag, tag="saved")
        packed = b"".join(self.client.images.get(f"{self.tag}:saved").save(named=f"{self.tag}:saved"))
        self.client.images.remove(f"{self.tag}:saved")
        (loaded,) = self.client.images.load(packed)
        self.assertIn(f"{self.tag}:saved", loaded.tags)

    def test_dangling_and_prune(self):
        packed = archive(**{"only": uuid.uuid4().hex.encode()})
        self.client.api.import_image_from_data(packed, repository=self.tag, tag="old", changes=f"LABEL {self.label}=x")
        old = self.client.images.get(f"{self.tag}:old")
        self.client.images.get(IMAGE).tag(self.tag, tag="old")
        mine = {"dangling": True, "label": self.label}
        self.assertEqual([one.id for one in self.client.images.list(filters=mine)], [old.id])
        deleted = self.client.images.prune(filters=mine)["ImagesDeleted"]
        self.assertIn(old.id, [one.get("Deleted") for one in deleted])


class Clients(Case):
    def test_old_versions(self):
        for version in ["1.24", "1.30", "1.40", "1.41"]:
            client = docker.DockerClient.from_env(version=version)
            made = client.containers.run(IMAGE, ["echo", version], labels=[self.label])
            self.assertEqual(made, version.encode() + b"\n")
            client.close()

    def test_daemon(self):
        self.assertTrue(self.client.ping())
        self.assertIn("ApiVersion", self.client.version())
        self.assertIn("Containers", self.client.info())
        self.assertIn("Containers", self.client.df())


if __name__ == "__main__":
    unittest.main()
