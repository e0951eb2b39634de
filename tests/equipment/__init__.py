"""Test equipment: real servers, hostile files and seeds for databases, shared by many tests."""
