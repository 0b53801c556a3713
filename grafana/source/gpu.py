"""The GPU, as the service sees it: the same section on the dashboards of the model and of the infrastructure."""

from grafana.source.colours import BAD, WARN
from grafana.source.dashboard import Section
from grafana.source.panels import Query, graph
from grafana.source.promql import APP

GPU = Section(
    "Is the GPU busy, full or hot? (empty without one)",
    [
        [
            graph(
                "GPU at work",
                "Share of time in which the GPU was busy.",
                "percentunit",
                Query(f"ml_api_gpu_utilization_ratio{{{APP}}}", "{{instance}} GPU {{gpu}}"),
            ).set(max=1),
            graph(
                "GPU memory",
                "Memory in use by all processes, and total memory.",
                "bytes",
                Query(f"ml_api_gpu_memory_used_bytes{{{APP}}}", "{{instance}} GPU {{gpu}} used"),
                Query(f"ml_api_gpu_memory_total_bytes{{{APP}}}", "{{instance}} GPU {{gpu}} total"),
            ),
            graph(
                "Memory of torch",
                "Memory allocated for tensors, and memory reserved by torch.",
                "bytes",
                Query(f"ml_api_torch_memory_allocated_bytes{{{APP}}}", "{{instance}} {{device}} allocated"),
                Query(f"ml_api_torch_memory_reserved_bytes{{{APP}}}", "{{instance}} {{device}} reserved"),
            ),
        ],
        [
            graph(
                "GPU power",
                "Power draw of the GPU.",
                "watt",
                Query(f"ml_api_gpu_power_watts{{{APP}}}", "{{instance}} GPU {{gpu}}"),
            ),
            graph(
                "GPU temperature",
                "Above some 85 °C a GPU throttles itself.",
                "celsius",
                Query(f"ml_api_gpu_temperature_celsius{{{APP}}}", "{{instance}} GPU {{gpu}}"),
            ).limited({85: WARN, 90: BAD}),
            graph(
                "GPU at work, by DCGM",
                "The same from NVIDIA's exporter, for all processes.",
                "percentunit",
                Query("DCGM_FI_DEV_GPU_UTIL / 100", "GPU {{gpu}}"),
            ).set(max=1),
        ],
    ],
    leads_to=["model", "infrastructure"],
)
