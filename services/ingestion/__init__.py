"""Files become comics and pages."""
