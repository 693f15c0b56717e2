"""A cluster that is Kubernetes with KubeRay: one RayCluster for each attempt."""
