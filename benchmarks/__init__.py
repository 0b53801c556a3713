"""Speed and scale, as programs that print ratios: what the service does beside what the bare parts could do, in the same run."""

import os

# Before torch is loaded: its threads spin for long while they wait for each other, and beside any other program that ruins the pass
# (ViT-B/32, one text, two cores under load: 0.7-1.1 a second spinning, 11-16 not). A baseline must not lose by that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
