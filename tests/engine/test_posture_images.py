"""The audit of images that were made to measure: loaded, pulled from a registry, or run so that their
file systems are seen; and of containers whose users an engine maps."""

import io
import subprocess
import tarfile
import time

import auditing
import host
import posture_pairs as pairs
import registry
from auditing import Auditing

SLEEPING = {"Cmd": ["/sleep", "1000"]}
GIB = 1 << 30


def ago(days):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86400))


class Loaded(Auditing):
    def verdict(self, image, check, *arguments):
        return self.rows("--image", image, *arguments)["image", image, check]["status"]

    def test_age(self):
        for name, days in (("fresh:1", 10), ("old:1", 200)):
            self.load(name, auditing.layer({"x": (0o644, name)}), created=ago(days))
        self.assertEqual(self.verdict("fresh:1", "image_age"), "pass")
        self.assertEqual(self.verdict("old:1", "image_age"), "fail")

    def test_layers(self):
        for name, count in (("few:1", 2), ("many:1", 41)):
            self.load(name, *(auditing.layer({f"x{i}": (0o644, "")}) for i in range(count)))
        self.assertEqual(self.verdict("few:1", "image_layers"), "pass")
        self.assertEqual(self.verdict("many:1", "image_layers"), "fail")

    def test_size(self):
        """The large one is a file of holes on its way, and zeros on the engine's disk."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            entry = tarfile.TarInfo("GNUSparseFile.0/big")
            ends = f"1\n{GIB}\n512\n".encode().ljust(512, b"\0")
            entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                                 "GNU.sparse.name": "big",
                                 "GNU.sparse.realsize": str(GIB + 512)}
            entry.size = len(ends) + 512
            tar.addfile(entry, io.BytesIO(ends + bytes(512)))
        self.load("large:1", packed.getvalue())
        self.load("small:1", auditing.layer({"x": (0o644, "")}))
        self.assertEqual(self.verdict("small:1", "image_size"), "pass")
        self.assertEqual(self.verdict("large:1", "image_size"), "fail")

    def test_references(self):
        config = self.settings(posture={"registries": ["docker.io/library/*"]})
        for name in ("named:1", "named:latest", "elsewhere.example/named:1"):
            self.load(name, auditing.layer({"x": (0o644, name)}))
        self.assertEqual(self.verdict("named:1", "image_tag_latest"), "pass")
        self.assertEqual(self.verdict("named:latest", "image_tag_latest"), "fail")
        self.assertEqual(self.verdict("named:1", "image_registry_allowed", "--config", config),
                         "pass")
        self.assertEqual(self.verdict("elsewhere.example/named:1", "image_registry_allowed",
                                      "--config", config), "fail")

    def test_what_file_systems_show(self):
        base = auditing.layer(auditing.program())
        for check, both in pairs.ROOTS.items():
            for word, files in zip(("fail", "pass"), both):
                name = f"{check}-{word}"
                # Else all images that are given nothing were one.
                self.load(f"{name}:1", base, auditing.layer({"name": (0o644, name), **files}))
                self.make(name, True, {"Image": f"{name}:1", **SLEEPING})
        rows = self.rows()
        self.assertEqual(
            {name: rows["image", f"{name}:1", check]["status"]
             for check in pairs.ROOTS for name in (f"{check}-fail", f"{check}-pass")},
            {f"{check}-{word}": word for check in pairs.ROOTS for word in ("fail", "pass")})
        self.notes.append(f"{len(pairs.ROOTS)} checks of file systems")


class Pulled(Auditing):
    """An engine of its own, with a mirror and with users that are mapped."""

    def second_engine(self, *arguments):
        engine = host.Engine(self.directory / "e")
        engine.directory.mkdir()
        engine.start("--bridge", "none", *arguments)
        self.addCleanup(engine.stop)
        return engine

    def test_what_a_registry_gave(self):
        base = auditing.layer(auditing.program())
        name, blobs = auditing.image_config([base], **SLEEPING)
        source = registry.Registry(blobs[name], [base])
        self.addCleanup(source.close)
        engine = self.second_engine("--registry-mirror", source.address)
        engine.import_busybox()
        engine.pull("small:1")
        pinned = f"small@{source.digest}"
        for container, image in (("tagged", "small:1"), ("pinned", pinned), ("own", engine.IMAGE)):
            self.make(container, False, {"Image": image}, engine)

        def verdict(image, check):
            return self.rows("--image", image, engine=engine)["image", image, check]["status"]
        for check, good, bad in (("image_pinned_digest", pinned, "small:1"),
                                 ("image_official", "small:1", engine.IMAGE),
                                 ("image_local_build", "small:1", engine.IMAGE)):
            self.assertEqual((check, verdict(good, check), verdict(bad, check)),
                             (check, "pass", "fail"))

    def test_users_that_are_mapped(self):
        for name in ("subuid", "subgid"):
            mapped = self.directory / name
            mapped.write_text("nobody:200000:65536\n")
            subprocess.run(["mount", "--bind", mapped, f"/etc/{name}"], check=True)
            self.addCleanup(subprocess.run, ["umount", f"/etc/{name}"], check=True)
        self.root.chmod(0o711)  # the mapped users have to come through
        engine = self.second_engine("--userns-remap", "nobody:nogroup")
        engine.import_busybox()
        for check, both in pairs.REMAPPED.items():
            for word, config in zip(("fail", "pass"), both):
                self.make(f"{check}-{word}", True, config, engine)
        rows = self.rows(engine=engine)
        self.assertEqual(
            {name: rows["container", name, check]["status"]
             for check in pairs.REMAPPED for name in (f"{check}-fail", f"{check}-pass")},
            {f"{check}-{word}": word for check in pairs.REMAPPED for word in ("fail", "pass")})
        self.assertEqual(rows["daemon", "engine", "userns_remap"]["status"], "pass")
