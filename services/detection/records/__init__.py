"""What detection writes in the database beside its stage, a module for each thing that is kept."""
