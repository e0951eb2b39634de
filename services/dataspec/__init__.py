"""Text to panels: alignment by geometry, and the contract that training reads."""
