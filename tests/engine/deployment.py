"""Tallyman's own image and container as deploy/ has them, without a registry: the Dockerfile's last
stage over a build stage that is made here, and the flags of the compose file as the engine's API
takes them."""

import io
import json
import os
import pathlib
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCKERFILE = ROOT / "deploy/container/Dockerfile"
COMPOSE = ROOT / "deploy/compose/compose.yml"
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
WITHOUT_API = {"build", "image", "container_name", "networks", "logging", "stop_grace_period"}


def build_context(program, folder):
    """What `POST /build` takes: the last stage as it is, with this program in the one before."""
    folder = pathlib.Path(folder)
    subprocess.run([ROOT / "deploy/container/make-root.sh", program, folder / "image",
                    folder / "state"], check=True)
    image = subprocess.run(["tar", "--xattrs", "--xattrs-include=security.capability",
                            "--owner=0", "--group=0", "-C", folder, "-c", "image", "state"], check=True,
                           stdout=subprocess.PIPE).stdout
    _, last = DOCKERFILE.read_text().split("\nFROM scratch\n")
    text = f"FROM scratch AS build\nADD image.tar /\nFROM scratch\n{last}".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in (("Dockerfile", text), ("image.tar", image)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def size(text):
    return int(text[:-1]) * UNITS[text[-1]]


def service(name="tallyman"):
    """A service of the compose file, as the body of `POST /containers/create`; folders beside the
    file stand as HERE/…, the group as GROUP."""
    import yaml  # only where the file is read: not in the VM
    said = yaml.safe_load(COMPOSE.read_text())["services"][name]
    host = {
        "GroupAdd": [group.split(":?")[0].replace("${DOCKER_GROUP", "GROUP")
                     for group in said.pop("group_add")],
        "CapDrop": said.pop("cap_drop"), "CapAdd": said.pop("cap_add"),
        "PidMode": said.pop("pid"), "CgroupnsMode": said.pop("cgroup"),
        "ReadonlyRootfs": said.pop("read_only"),
        "Binds": [bind.replace("./", "HERE/", 1) if bind.startswith("./") else bind
                  for bind in said.pop("volumes")],
        "RestartPolicy": {"Name": said.pop("restart")},
        "Memory": size(said.pop("mem_limit")), "MemorySwap": size(said.pop("memswap_limit")),
        "MemoryReservation": size(said.pop("mem_reservation")),
        "NanoCpus": int(said.pop("cpus") * 1e9), "CpuShares": said.pop("cpu_shares"),
        "PidsLimit": said.pop("pids_limit"),
        "Ulimits": [{"Name": key, "Soft": value, "Hard": value}
                    for key, value in said.pop("ulimits").items()],
        "PortBindings": {}, "LogConfig": {"Type": said["logging"]["driver"],
                                          "Config": said["logging"]["options"]},
    }
    for port in said.pop("ports"):
        address, outside, inside = port.split(":")
        host["PortBindings"][f"{inside}/tcp"] = [{"HostIp": address, "HostPort": outside}]
    body = {"Image": said["image"], "User": said.pop("user"), "HostConfig": host,
            "Cmd": None}
    unknown = said.keys() - WITHOUT_API
    if unknown:
        raise AssertionError(f"{COMPOSE.name} has keys that the test does not know: {unknown}")
    return body


def placed(body, engine, volume):
    """The same for this engine: with its socket and data, and with a volume of this name."""
    text = json.dumps(body)
    for written, here in (
            ("HERE", str(COMPOSE.parent)),
            ('"GROUP"', f'"{os.stat(engine.socket).st_gid}"'),
            ("/var/run/docker.sock:/var", f"{engine.socket}:/var"),
            ("/var/lib/docker/containers", f"{engine.data_root}/containers"),
            ("state:", f"{volume}:")):
        text = text.replace(written, here)
    return json.loads(text)


def receiver(body):
    """What the compose file has Fluentd for, by this same image: it prints what it is sent."""
    return {"Image": body["Image"], "Labels": {"tallyman.logs": "false"},
            "Cmd": ["receive", "--listen", "0.0.0.0:24224"],
            "Healthcheck": {"Test": ["NONE"]},  # the image's own asks `tallyman run`
            "HostConfig": {"NetworkMode": "monitoring"}}


def printed(engine, container):
    """What a container has written, as text."""
    path = pathlib.Path(engine.inspect(container)["LogPath"])
    return "".join(json.loads(line)["log"] for line in path.read_text().splitlines())


def received(engine, receiver_name, container):
    """What the receiver was sent of a container: {(stream, line)}."""
    rows = [json.loads(line)["record"] for line in printed(engine, receiver_name).splitlines()
            if container in line and '"log"' in line]
    return {(row["source"], row["log"]) for row in rows}
