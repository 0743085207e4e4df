"""What runs around a gateway: Prometheus rules and Grafana dashboards, as files (``tinyfleet gateway watch-files``)."""
