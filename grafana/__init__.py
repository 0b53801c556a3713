"""What Grafana shows. `dashboards/` is made from `source/`, and has the form that `schema/` says."""
