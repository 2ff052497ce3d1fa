"""What dashboards for cAdvisor ask for that are used much, in our own words: a metric, the matchers, how
it is grouped. 193 follows what it is published as, the others what is said of them, so they may ask in
other ways, too. (dashboard, what it shows, query).

Host panels of 893 ask for node_exporter's node_* and are not here.
"""

NAMED = 'name=~".+"'
ON_HOST = 'instance=~".+", name=~".+"'
COMPOSE = "container_label_com_docker_compose_project, container_label_com_docker_compose_service"


def each(metric, matchers, by="name"):
    return f"sum by ({by}) ({metric}{{{matchers}}})"


def rate(metric, matchers, by="name", window="1m"):
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[{window}]))"


IMAGES = 'image!=""'

QUERIES = [
    ("193", "containers that run", f"count(container_last_seen{{{IMAGES}}})"),
    ("193", "memory, all", f"sum(container_memory_usage_bytes{{{IMAGES}}}) / 1024 / 1024"),
    ("193", "CPU, all", f"sum(rate(container_cpu_user_seconds_total{{{IMAGES}}}[5m]) * 100)"),
    ("193", "CPU", f"rate(container_cpu_user_seconds_total{{{IMAGES}}}[5m]) * 100"),
    ("193", "memory", f"container_memory_usage_bytes{{{IMAGES}}}"),
    ("193", "received", f"irate(container_network_receive_bytes_total{{{IMAGES}}}[5m])"),
    ("193", "sent", f"irate(container_network_transmit_bytes_total{{{IMAGES}}}[5m])"),
    ("893", "containers", f"count(rate(container_last_seen{{{NAMED}}}[1m]))"),
    ("893", "CPU", rate("container_cpu_usage_seconds_total", NAMED) + " * 100"),
    ("893", "sent", f"rate(container_network_transmit_bytes_total{{{NAMED}}}[1m])"),
    ("893", "received", f"rate(container_network_receive_bytes_total{{{NAMED}}}[1m])"),
    ("893", "memory", each("container_memory_rss", NAMED)),
    ("893", "memory and swap", each("container_memory_swap", NAMED)),
    ("893", "memory left", "sum by (name) (container_spec_memory_limit_bytes{name=~\".+\"} - "
     "container_memory_usage_bytes{name=~\".+\"})"),
    ("893", "usage", each("container_memory_usage_bytes", NAMED)),
    ("893", "disk left", "sum by (name) (container_fs_limit_bytes{name=~\".+\"} - "
     "container_fs_usage_bytes{name=~\".+\"})"),
    ("14282", "hosts", 'group by (instance) ({__name__=~"container.*"})'),
    ("14282", "containers", 'group by (name) ({__name__=~"container.*", instance=~".+"})'),
    ("14282", "CPU", rate("container_cpu_usage_seconds_total", ON_HOST, window="5m") + " * 100"),
    ("14282", "memory", each("container_memory_rss", ON_HOST)),
    ("14282", "cached", each("container_memory_cache", ON_HOST)),
    ("14282", "received", rate("container_network_receive_bytes_total", ON_HOST, window="5m")),
    ("14282", "sent", rate("container_network_transmit_bytes_total", ON_HOST, window="5m")),
    ("14282", "table of containers", f"group by (name, image, instance, {COMPOSE}) "
     f"(container_start_time_seconds{{{ON_HOST}}})"),
    ("14282", "running for days",
     f"(time() - container_start_time_seconds{{{ON_HOST}}}) / 86400"),
    ("19792", "CPU by container", rate("container_cpu_usage_seconds_total", NAMED, "id, name, image")),
    ("19792", "CPU by service", rate("container_cpu_usage_seconds_total", NAMED, COMPOSE)),
    ("19792", "CPU in the kernel", rate("container_cpu_system_seconds_total", NAMED)),
    ("19792", "working set", each("container_memory_working_set_bytes", NAMED)),
    ("19792", "cache", each("container_memory_cache", NAMED)),
    ("19792", "host", "machine_cpu_cores + machine_memory_bytes * 0"),
    ("19792", "disk", each("container_fs_usage_bytes", NAMED, "name, device")),
    ("19792", "read", rate("container_fs_reads_bytes_total", NAMED, "name, device")),
    ("19792", "written", rate("container_fs_writes_bytes_total", NAMED, "name, device")),
    ("19792", "errors", rate("container_network_receive_errors_total", NAMED)),
    ("19792", "seconds since last seen", f"time() - container_last_seen{{{NAMED}}}"),
]
