"""How the tables' cells are painted."""
