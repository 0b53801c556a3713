"""Infrastructure: the machine, the process, the GPU, the containers."""

from typing import Final

from grafana.source.colours import BAD, WARN
from grafana.source.dashboard import Dashboard, Section
from grafana.source.gpu import GPU
from grafana.source.panels import Query, graph, stat
from grafana.source.promql import APP

DISKS: Final = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660"'
CARDS: Final = 'device!~"lo|veth.*|docker.*|br-.*"'
CONTAINERS: Final = 'name!=""'
CPU_USED: Final = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'
MEMORY_USED: Final = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
DISK_USED: Final = f"1 - node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes{{{DISKS}}}"
FREE_TOMORROW: Final = f"predict_linear(node_filesystem_avail_bytes{{{DISKS}}}[6h], 24 * 3600)"

NOW = Section(
    "Is the machine the bottleneck?",
    [
        [
            stat("CPU", "Share of all cores in use.", "percentunit", Query(f"max({CPU_USED})"), {0: "green", 0.8: WARN, 0.95: BAD}),
            stat(
                "Memory",
                "Share in use, without caches.",
                "percentunit",
                Query(f"max({MEMORY_USED})"),
                {0: "green", 0.8: WARN, 0.9: BAD},
            ),
            stat(
                "Disk",
                "Used share of the fullest disk.",
                "percentunit",
                Query(f"max({DISK_USED})"),
                {0: "green", 0.8: WARN, 0.9: BAD},
            ),
            stat(
                "Disk left tomorrow",
                "Predicted free space, in a day, of the disk that fills fastest, by the trend of 6 hours. At 0 it will be full.",
                "bytes",
                Query(f"min(clamp_min({FREE_TOMORROW}, 0))"),
                {0: BAD, 1e9: WARN, 1e10: "green"},
            ),
            stat("Process memory", "Memory of the service.", "bytes", Query(f"max(process_resident_memory_bytes{{{APP}}})")),
            stat(
                "Files and sockets",
                "Share of the descriptors that the service may open.",
                "percentunit",
                Query(f"max(process_open_fds{{{APP}}} / process_max_fds{{{APP}}})"),
                {0: "green", 0.7: WARN, 0.9: BAD},
            ),
        ],
    ],
    leads_to=["overview"],
)

HOST = Section(
    "What is the machine busy with?",
    [
        [
            graph(
                "CPU by kind of work",
                "Cores in use. `iowait` is time waiting for disks, `steal` time taken by other guests of the host.",
                "short",
                Query('sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))', "{{mode}}"),
            ).stacked(),
            graph(
                "Memory",
                "Available and total memory.",
                "bytes",
                Query("node_memory_MemAvailable_bytes", "{{instance}} available"),
                Query("node_memory_MemTotal_bytes", "{{instance}} total"),
            ),
            graph(
                "Network",
                "Bytes a second, received and sent.",
                "Bps",
                Query(
                    f"sum by (instance) (rate(node_network_receive_bytes_total{{{CARDS}}}[$__rate_interval]))", "{{instance}} in"
                ),
                Query(
                    f"sum by (instance) (rate(node_network_transmit_bytes_total{{{CARDS}}}[$__rate_interval]))", "{{instance}} out"
                ),
            ),
        ],
        [
            graph(
                "Disk space",
                "Share in use, by mount point.",
                "percentunit",
                Query(DISK_USED, "{{instance}} {{mountpoint}}"),
            )
            .set(max=1)
            .limited({0.9: BAD}),
            graph(
                "Disk space in a day",
                "Predicted free space in a day, by the trend of 6 hours. Below 0 it will be full.",
                "bytes",
                Query(FREE_TOMORROW, "{{instance}} {{mountpoint}}"),
            ).set(min=None),
            graph(
                "Disk work",
                "Bytes a second read and written.",
                "Bps",
                Query("sum by (instance) (rate(node_disk_read_bytes_total[$__rate_interval]))", "{{instance}} read"),
                Query("sum by (instance) (rate(node_disk_written_bytes_total[$__rate_interval]))", "{{instance}} written"),
            ),
        ],
    ],
    leads_to=["monitoring"],
)

PROCESS = Section(
    "What does the service itself use?",
    [
        [
            graph(
                "CPU",
                "Cores at work.",
                "short",
                Query(f"rate(process_cpu_seconds_total{{{APP}}}[$__rate_interval])", "{{instance}}"),
            ),
            graph(
                "Memory",
                "Resident memory. A slope under steady load indicates a leak.",
                "bytes",
                Query(f"process_resident_memory_bytes{{{APP}}}", "{{instance}}"),
            ),
            graph("Threads", "Python threads of the process.", "short", Query(f"ml_api_threads{{{APP}}}", "{{instance}}")),
        ],
        [
            graph(
                "Open files and sockets",
                "Descriptors. A slope under steady load indicates a leak.",
                "short",
                Query(f"process_open_fds{{{APP}}}", "{{instance}} open"),
                Query(f"process_max_fds{{{APP}}}", "{{instance}} limit"),
            ),
            graph(
                "Garbage collections",
                "Runs a second of Python's garbage collector, by generation. Only the third takes long.",
                "ops",
                Query(
                    f"sum by (generation) (rate(python_gc_collections_total{{{APP}}}[$__rate_interval]))",
                    "generation {{generation}}",
                ),
            ),
            graph(
                "Age of the process",
                "Time since the start. A sawtooth means that the process keeps restarting.",
                "s",
                Query(f"time() - process_start_time_seconds{{{APP}}}", "{{instance}}"),
            ),
        ],
    ],
    leads_to=["endpoints", "model"],
)

CONTAINER = Section(
    "What do the containers use? (empty without cAdvisor)",
    [
        [
            graph(
                "CPU by container",
                "Cores at work.",
                "short",
                Query(f"sum by (name) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}[$__rate_interval]))", "{{name}}"),
            ),
            graph(
                "Memory by container",
                "Memory that the kernel cannot reclaim. A container at its limit is killed.",
                "bytes",
                Query(f"sum by (name) (container_memory_working_set_bytes{{{CONTAINERS}}})", "{{name}}"),
            ),
            graph(
                "Restarts by container",
                "Starts in the last hour.",
                "short",
                Query(f"sum by (name) (changes(container_start_time_seconds{{{CONTAINERS}}}[1h]))", "{{name}}"),
            ),
        ],
    ],
    leads_to=["monitoring"],
)

DASHBOARD = Dashboard(
    "infrastructure",
    "Does the machine, the process or a container lack resources?",
    [NOW, HOST, PROCESS, GPU, CONTAINER],
)
