"""How the product is spoken to: the application factory and the typed client."""
