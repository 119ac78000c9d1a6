"""Make an HTTP API answer to the genuine app and to nothing else."""
