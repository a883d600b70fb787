"""One module for each kind of server, all behind the protocols of base.py; http.py is the only importer of httpx."""
