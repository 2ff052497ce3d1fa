"""Lines of a driver that only the engine can read back: systemd's journal, through the API."""

import host
import house

LINES = [f"line {number}" for number in range(200)]
SCRIPT = ("i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; echo one >&2; "
          "exec sleep 100000")


class Journal(house.Beside):
    def test_lines_arrive_and_none_is_missing_after_a_kill(self):
        folder = self.enterContext(host.scratch())
        receiver = host.Receiver(house.BINARY, folder).start()
        self.addCleanup(receiver.stop)
        agent = host.Agent(house.BINARY, folder, self.engine, forward=receiver.address,
                           docker=dict(house.PATIENCE)).start()
        self.addCleanup(agent.stop)
        journal = {"LogConfig": {"Type": "journald"}}
        container = self.container("journal", SCRIPT, HostConfig=journal)
        self.await_lines(receiver, container)
        agent.kill()
        agent.start()
        later = self.container("later", SCRIPT, HostConfig=journal)
        self.await_lines(receiver, later)
        # What was not acknowledged when it was killed may come again, and nothing is missing.
        self.assertEqual(list(dict.fromkeys(receiver.lines(container))), LINES)

    def await_lines(self, receiver, container):
        host.await_that("every line arrives", lambda: (
            list(dict.fromkeys(receiver.lines(container))) == LINES and
            receiver.lines(container, "stderr") == ["one"]), pace=house.SCRAPE_PACE)
