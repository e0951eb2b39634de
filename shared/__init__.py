"""What two or more services need today, and nothing else."""
