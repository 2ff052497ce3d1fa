"""What the audit says of containers here, where every limit is enforced and AppArmor is there: by
what the kernel shows of them while they run."""

import json
import pathlib

import host
import house
import posture_pairs as pairs


class Posture(house.Beside):
    def rows(self, *containers):
        only = [word for name in containers for word in ("--container", name)]
        return {(row["name"], row["check"]): row for row in house.audit(*only)[0]["findings"]
                if row["target"] == "container"}

    def test_each_check_fails_and_passes(self):
        # Else nobody can be given more than what counts as sane.
        pathlib.Path("/proc/sys/fs/nr_open").write_text(str(1 << 21))
        expected = {}
        for name, (checks, *both) in pairs.RUNNING.items():
            for word, config in zip(("fail", "pass"), both):
                # The tests of the engine share these.
                container = self.engine.run(  # which sleeps until the VM is switched off
                    f"{name}-{word}", pairs.SLEEP, **json.loads(json.dumps(config)))
                if (name, word) == ("limits", "fail"):
                    # systemd has a limit of its own for all, and the engine cannot be asked for
                    # none: it leaves -1 out.
                    house.set_limits(container, TasksMax="infinity")
                expected.update({(f"{name}-{word}", check): word for check in checks})

        def judged():
            rows = self.rows(*{name for name, _ in expected})
            self.assertEqual({key: (rows[key]["status"], rows[key]["message"])
                              for key, word in expected.items() if rows[key]["status"] != word}, {})
            return rows
        rows = host.await_that("every verdict is the expected one", judged, pace=house.SCRAPE_PACE)
        self.assertEqual(rows["limits-pass", "memory_limit"]["message"], "64 MiB")
        self.assertIn("docker-default", rows["isolation-pass", "apparmor"]["message"])
        self.notes.append(f"{len(expected) // 2} checks")

    def test_a_limit_that_is_lifted_behind_the_engine(self):
        """The engine says what was asked for; the kernel has the last word."""
        container = self.container("lifted", pairs.SLEEP, HostConfig={
            "Memory": 64 * pairs.MIB, "PidsLimit": 64})
        self.assertEqual(self.verdicts(), ["pass", "pass"])
        house.set_limits(container, MemoryMax="infinity", TasksMax="infinity")
        for name in "memory.max", "pids.max":
            self.await_file("it is lifted", house.kernel.cgroup(container) / name,
                            lambda values: values[None] == "max")
        self.assertEqual(self.verdicts(), ["fail", "fail"])

    def verdicts(self):
        rows = self.rows("lifted")
        return [rows["lifted", check]["status"] for check in ("memory_limit", "pids_limit")]
