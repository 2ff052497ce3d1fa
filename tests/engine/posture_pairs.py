"""For each check of containers and images: what fails it and what passes it on a real engine. Each
table here belongs to a test that goes over all of it; `shown()` is what they show together, and
test_posture.Table holds it to the audit's own list of checks.
"""

SLEEP = "exec sleep 1000"
LISTEN = "httpd -p 8000 -h /tmp; exec sleep 1000"
SECRET = "hunter22hunter22"


def hosted(**config):
    return {"HostConfig": config}


def bind(source, target="/x", mode="rw", **more):
    return hosted(Binds=[f"{source}:{target}:{mode}"], **more)


def health(test=("CMD", "true"), **more):
    return {"Healthcheck": {"Test": list(test), **more}}


RUN, MAKE = True, False  # started, or only created where the engine here could not start it

DATABASE = "postgres:test"  # a name is what tells databases; the test gives it to its image

# check: (started?, what fails, what passes); a `Script` is what runs instead of sleeping.
CONTAINERS = {
    "privileged": (MAKE, hosted(Privileged=True), hosted(Privileged=False)),
    "docker_socket_mount": (RUN, bind("SOCKET", "/run/docker.sock", "ro"), bind("FOLDER")),
    "no_new_privileges": (RUN, hosted(SecurityOpt=["no-new-privileges=false"]),
                          hosted(SecurityOpt=["no-new-privileges"])),
    "seccomp": (RUN, hosted(SecurityOpt=["seccomp=unconfined"]), {}),
    "caps_added": (MAKE, hosted(CapAdd=["SYS_ADMIN"]), hosted(CapAdd=["CHOWN"])),
    "caps_dropped": (RUN, {}, hosted(CapDrop=["NET_RAW", "MKNOD"])),
    "caps_effective": (RUN, hosted(CapAdd=["SYS_PTRACE"]), {}),
    "devices": (MAKE, hosted(Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n",
                                       "CgroupPermissions": "rwm"}]), {}),
    "device_cgroup_rules": (MAKE, hosted(DeviceCgroupRules=["a *:* rwm"]), {}),
    "masked_paths": (MAKE, hosted(MaskedPaths=[], ReadonlyPaths=[]), {}),
    "sysctls": (MAKE, hosted(Sysctls={"kernel.msgmax": "65536"}), {}),
    "host_pid": (RUN, hosted(PidMode="host"), {}),
    "host_ipc": (RUN, hosted(IpcMode="host"), hosted(IpcMode="private")),
    "host_uts": (RUN, hosted(UTSMode="host"), {}),
    "host_network": (RUN, hosted(NetworkMode="host"), {}),
    "host_cgroupns": (RUN, hosted(CgroupnsMode="host"), hosted(CgroupnsMode="private")),
    "joined_namespace": (MAKE, hosted(NetworkMode="container:seccomp-pass"), {}),
    "user_nonroot": (RUN, {}, {"User": "1000"}),
    "user_numeric": (MAKE, {"User": "1000"}, {"User": "12345"}),
    "runtime_uid_nonroot": (RUN, {}, {"User": "12345"}),
    "group_add_privileged": (MAKE, hosted(GroupAdd=["docker"]), hosted(GroupAdd=["12345"])),
    # A script's process has the name of its file.
    "sshd_running": (RUN, {"Script": r"printf '#!/bin/sh\nsleep 1000; true\n' >/tmp/sshd; "
                                     "chmod +x /tmp/sshd; exec /tmp/sshd"}, {}),
    "sensitive_mount_rw": (RUN, bind("/etc"), bind("FOLDER")),
    "sensitive_mount_ro": (RUN, bind("/etc", mode="ro"), bind("FOLDER", mode="ro")),
    "volumes_readonly": (RUN, bind("FOLDER"), bind("FOLDER", mode="ro")),
    "mount_propagation": (MAKE, bind("FOLDER", mode="rw,rshared"), bind("FOLDER")),
    "mount_exec_flags": (RUN, bind("FOLDER"), bind("FOLDER", mode="ro")),
    "readonly_rootfs": (RUN, {}, hosted(ReadonlyRootfs=True)),
    "tmpfs_flags": (RUN, hosted(Tmpfs={"/t": "exec"}),
                    hosted(Tmpfs={"/t": "noexec,nosuid,nodev,size=64k"})),
    "secret_file_perms": (RUN, {"Script": f"echo x >/id_rsa; chmod 644 /id_rsa; {SLEEP}"},
                          {"Script": f"echo x >/id_rsa; chmod 400 /id_rsa; {SLEEP}"}),
    "oom_kill_disable": (MAKE, hosted(OomScoreAdj=-900), {}),
    "ulimits": (MAKE, hosted(Ulimits=[{"Name": "nofile", "Soft": 1048577, "Hard": 1048577}]),
                hosted(Ulimits=[{"Name": "nofile", "Soft": 1024, "Hard": 1024}])),
    "restart_policy": (MAKE, hosted(RestartPolicy={"Name": "always"}),
                       hosted(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 5})),
    "cgroup_parent": (MAKE, hosted(CgroupParent="/tallyman-own"), {}),
    "healthcheck_present": (MAKE, {}, health()),
    "healthcheck_not_disabled": (MAKE, health(["NONE"]), health()),
    "healthcheck_sane": (MAKE, health(Interval=600 * 10 ** 9), health()),
    "healthcheck_needs_missing_tool": (RUN, health(["CMD-SHELL", "curl -f localhost"]),
                                       health(["CMD-SHELL", "wget -q localhost"])),
    "published_wildcard": (MAKE, hosted(PortBindings={"80/tcp": [{"HostIp": "::",
                                                                  "HostPort": "18080"}]}),
                           hosted(PortBindings={"80/tcp": [{"HostIp": "127.0.0.1",
                                                            "HostPort": "18081"}]})),
    "published_sensitive_port": (MAKE, hosted(PortBindings={"5432/tcp": [{"HostPort": "1"}]}), {}),
    "privileged_ports": (MAKE, hosted(PortBindings={"80/tcp": [{"HostPort": "1023"}]}),
                         hosted(PortBindings={"80/tcp": [{"HostPort": "1024"}]})),
    "publish_all": (MAKE, hosted(PublishAllPorts=True), {}),
    "undeclared_listener": (RUN, {"Script": LISTEN}, {"Script": LISTEN,
                                                      "ExposedPorts": {"8000/tcp": {}}}),
    "default_bridge": (RUN, hosted(NetworkMode="bridge"), {}),
    "legacy_links": (MAKE, hosted(NetworkMode="bridge", Links=["default_bridge-fail:x"]), {}),
    "log_driver_none": (MAKE, hosted(LogConfig={"Type": "none"}), {}),
    "log_driver_remote": (MAKE, {}, hosted(LogConfig={"Type": "syslog"})),
    "log_rotation": (MAKE, {}, hosted(LogConfig={"Type": "json-file",
                                                 "Config": {"max-size": "1m"}})),
    "log_driver_blocking": (MAKE, hosted(LogConfig={
        "Type": "fluentd", "Config": {"fluentd-async": "true"}}), hosted(LogConfig={
            "Type": "fluentd", "Config": {"mode": "non-blocking"}})),
    "secrets_env_runtime": (RUN, {"Env": [f"DB_PASSWORD={SECRET}"]},
                            {"Env": ["DB_PASSWORD_FILE=/run/secrets/db"]}),
    "secrets_args": (RUN, {"Script": f"true --password={SECRET}; {SLEEP}"}, {}),
    "weak_db_auth": (MAKE, {"Env": ["POSTGRES_HOST_AUTH_METHOD=trust"]}, {}),
    # What of the engine's own tree is mounted stands writable in it.
    "writable_cgroups": (RUN, bind("/sys/fs/cgroup", "/sys/fs/cgroup"), {}),
    "swarm_secrets_used": (MAKE, {"Image": DATABASE}, {
        "Image": DATABASE, "Env": ["POSTGRES_PASSWORD_FILE=/run/secrets/db"]}),
    "network_internal_db": (MAKE, {"Image": DATABASE, **hosted(PortBindings={
        "5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "15432"}]})}, {"Image": DATABASE}),
    "inventory": (MAKE, hosted(NetworkMode="bridge", ExtraHosts=["me:host-gateway"]), {}),
}

# check: (what an image is committed with that fails, and that passes): its command and changes.
IMAGES = {
    "image_healthcheck": ((), ("HEALTHCHECK CMD true",)),
    "image_user_root": ((), ("USER 12345",)),
    "image_expose_ssh": (("EXPOSE 22",), ("EXPOSE 2222",)),
    "secrets_env_image": ((f"ENV API_TOKEN={SECRET}",), ("ENV API_TOKEN_FILE=/run/secrets/t",)),
}
HISTORIES = {
    "image_add_instruction": ("ADD https://example.org/x /x", "COPY x /x"),
    "image_update_alone": ("RUN apt-get update", "RUN apt-get update && apt-get install -y x"),
    "image_pkg_unverified": ("RUN curl -k https://example.org/x", "RUN curl https://example.org/x"),
    "secrets_history": (f"|1 NPM_TOKEN={SECRET} /bin/sh -c npm ci", "RUN npm ci"),
    "image_build_tools": ("RUN apt-get install build-essential", None),  # see ROOTS
}

MIB = 1 << 20

# In the VM, whose kernel has every controller and AppArmor: the names of checks, a container that
# fails all of them, and one that passes all.
RUNNING = {
    "limits": (
        ("memory_limit", "memory_reservation", "swap_limit", "cpu_limit", "cpu_shares",
         "pids_limit", "ulimits", "oom_kill_disable"),
        hosted(OomScoreAdj=-900,
               Ulimits=[{"Name": "nofile", "Soft": 1048577, "Hard": 1048577}]),
        hosted(Memory=64 * MIB, MemorySwap=64 * MIB, MemoryReservation=32 * MIB,
               NanoCpus=500_000_000, CpuShares=512, PidsLimit=64,
               Ulimits=[{"Name": "nofile", "Soft": 1024, "Hard": 1024}])),
    "isolation": (
        ("apparmor", "seccomp", "caps_added", "caps_effective", "devices", "masked_paths",
         "sysctls", "no_new_privileges"),
        hosted(SecurityOpt=["apparmor=unconfined", "seccomp=unconfined"], CapAdd=["SYS_ADMIN"],
               Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n",
                         "CgroupPermissions": "rwm"}],
               MaskedPaths=[], ReadonlyPaths=[], Sysctls={"kernel.msgmax": "65536"}),
        hosted(SecurityOpt=["no-new-privileges"])),
    "privileged": (("privileged", "writable_cgroups"), hosted(Privileged=True), {}),
}

# On an engine that maps users: --userns-remap.
REMAPPED = {
    "userns_effective": (hosted(UsernsMode="host"), {}),
    "userns_host_override": (hosted(UsernsMode="host"), {}),
    "runtime_uid_nonroot": (hosted(UsernsMode="host"), {}),
}

# check: files of an image (path: (mode, content)) that fail it, and that pass, while it runs. The
# program is there beside them.
DEBIAN = 'ID=debian\nVERSION_ID="%s"\nPRETTY_NAME="Debian GNU/Linux %s"\n'
ROOTS = {
    "image_has_shell": ({"bin/sh": (0o755, "")}, {}),
    "image_has_pkg_manager": ({"usr/bin/apt": (0o755, "")}, {}),
    "image_build_tools": ({"usr/bin/gcc": (0o755, "")}, {}),
    "image_minimal": ({"etc/os-release": (0o644, DEBIAN % (12, 12))},
                      {"etc/os-release": (0o644, "ID=alpine\nVERSION_ID=3.99.1\n")}),
    "image_eol_os": ({"etc/os-release": (0o644, DEBIAN % (8, 8))},
                     {"etc/os-release": (0o644, "ID=alpine\nVERSION_ID=3.99.1\n")}),
    "setuid_files": ({"bin/raise": (0o4755, "")}, {"bin/raise": (0o755, "")}),
    "world_writable": ({"etc/open": (0o666, "")}, {"etc/open": (0o644, "")}),
}

# check: the test that shows it by other means
ELSEWHERE = {
    "exec_privileged": "test_posture.Audit.test_what_is_executed",
    "exec_root": "test_posture.Audit.test_what_is_executed",
    "image_ref_mutated": "test_posture.Audit.test_moved_tags_are_seen",
    "image_stale_tag": "test_posture.Audit.test_moved_tags_are_seen",
    "network_multi_homed": "test_posture.Audit.test_networks",
    "network_fanout": "test_posture.Audit.test_networks",
    "image_age": "test_posture_images.Loaded.test_age",
    "image_layers": "test_posture_images.Loaded.test_layers",
    "image_size": "test_posture_images.Loaded.test_size",
    "image_tag_latest": "test_posture_images.Loaded.test_references",
    "image_registry_allowed": "test_posture_images.Loaded.test_references",
    "image_pinned_digest": "test_posture_images.Pulled.test_what_a_registry_gave",
    "image_official": "test_posture_images.Pulled.test_what_a_registry_gave",
    "image_local_build": "test_posture_images.Pulled.test_what_a_registry_gave",
    "image_scanned": "test_vulnerabilities.Vulnerabilities.test_each_check_of_scans",
    "image_scan_age": "test_vulnerabilities.Vulnerabilities.test_each_check_of_scans",
    "image_vulns_fixable": "test_vulnerabilities.Vulnerabilities.test_each_check_of_scans",
}

# What no engine here can show, and why; pure functions over facts are tested in any case.
UNSHOWN = {
    "selinux": "takes a host that was installed and labelled for SELinux: the kernel knows one "
               "security module of that kind at a time, and Debian's is AppArmor",
    "image_signature_identity": "engines tell of signatures since API 1.53; Debian's is older",
}


def shown():
    """The names of all checks of containers and images that the tests show both ways."""
    names = [name for table in (CONTAINERS, REMAPPED, IMAGES, HISTORIES, ROOTS, ELSEWHERE)
             for name in table]
    return {*names, *(name for checks, _, _ in RUNNING.values() for name in checks)}
