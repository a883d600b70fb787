"""The window of Uphaul: Qt only, and a client of app.manager like the command line."""
