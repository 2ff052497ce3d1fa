"""Lines of a driver that only the engine can read back: systemd's journal, through the API."""

import host
import house

LINES = [f"line {number}" for number in range(200)]
# The second half comes when it is told to.
SCRIPT = ("i=0; while [ $i -lt 200 ]; do "
          "[ $i -ne 100 ] || until [ -e /go ]; do usleep 100000; done; "
          "echo line $i; i=$((i+1)); done; exec sleep 100000")


class Journal(house.Beside):
    def test_what_was_written_while_the_agent_was_dead_arrives(self):
        folder = self.enterContext(host.scratch())
        receiver = host.Receiver(house.BINARY, folder).start()
        self.addCleanup(receiver.stop)
        agent = host.Agent(house.BINARY, folder, self.engine, forward=receiver.address,
                           docker=dict(house.PATIENCE)).start()
        self.addCleanup(agent.stop)
        container = self.container("journal", SCRIPT, HostConfig={
            "LogConfig": {"Type": "journald"}})
        self.await_lines(receiver, container, LINES[:100])
        agent.kill()
        (self.files(container) / "go").touch()
        host.await_that("all is in the journal", lambda: LINES[-1] in house.command(
            "docker", "logs", "--tail", "1", container), pace=1)
        self.assertEqual(len(set(receiver.lines(container))), 100)
        agent.start()
        self.await_lines(receiver, container, LINES)

    def await_lines(self, receiver, container, lines):
        """In order; what was not acknowledged may come again."""
        host.await_that("the lines arrive", lambda: list(dict.fromkeys(
            receiver.lines(container))) == lines, pace=house.SCRAPE_PACE)
