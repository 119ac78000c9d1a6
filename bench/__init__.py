"""What things cost, in process CPU time, against yardsticks measured in the same interleaved run."""
