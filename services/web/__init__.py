"""The browser interface: screens rendered from the tables; what a person does there goes through REST."""
