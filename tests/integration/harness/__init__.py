"""What the integration and cluster suites share: a real control plane, registries, our programs, kubectl."""
