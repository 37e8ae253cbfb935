"""The service on every host: makes the host what its signed desired state says, and reports what happens there."""
