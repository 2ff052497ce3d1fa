"""Where alerts can be seen: what the agent answers, what a receiver was sent, what Alertmanager has."""

import json


def firing(agent):
    """{(alert, container)} of those that fire."""
    return {(alert["labels"]["alertname"], alert["labels"].get("name"))
            for alert in json.loads(agent.get("/api/v1/alerts"))["data"]["alerts"]
            if alert["state"] == "firing"}


class Stream:
    """The alerts in what a receiver writes down, read as it grows: a flood is among it."""

    def __init__(self, receiver):
        self.file = receiver.file
        self.offset = 0
        self.states = {}  # (alert, container): [state...]

    def told(self, name, container):
        if self.file.exists():
            with open(self.file, "rb") as file:
                file.seek(self.offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self.offset += len(line)
                    if b'"tallyman.alert"' in line:
                        self.take(json.loads(line))
        return self.states.get((name, container), [])

    def take(self, row):
        if row["tag"] == "tallyman.alert":
            record = row["record"]
            self.states.setdefault((record["alertname"], record["labels"].get("name")),
                                   []).append(record["state"])


def at_alertmanager(alertmanager):
    return {(labels["alertname"], labels.get("name")) for labels in alertmanager.labels()}
