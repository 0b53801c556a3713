"""The monitoring stack as processes of this machine, on the configuration files that the containers use."""
