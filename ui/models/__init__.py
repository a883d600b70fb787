"""The tables' models: rows are the engine's frozen views, columns are objects, sorting and filtering happen here."""
