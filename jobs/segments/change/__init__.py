"""What a change of definitions would do: who enters, who leaves, what shifts, which syncs send something else."""
