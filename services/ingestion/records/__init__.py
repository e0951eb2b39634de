"""What ingestion writes and reads in the database, a module for each thing that is kept."""
