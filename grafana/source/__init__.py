"""The dashboards as Python, in a vocabulary of few words. `python -m grafana.source` writes `grafana/dashboards/`."""
