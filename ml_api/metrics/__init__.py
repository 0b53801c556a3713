"""Every metric of the application, in one catalogue: declared by area, documented by the same words that operators read.

Labels are bounded whatever clients send: routes are labelled by their rule, never by raw paths, texts or ids.
"""

from ml_api.metrics.all import Metrics, metrics_table

__all__ = ["Metrics", "metrics_table"]
