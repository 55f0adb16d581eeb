"""The trainer stage as several workers: its pod starts a job of Kubernetes and waits for it."""
