"""How fast Uphaul is, measured. These are no tests: nothing here passes or fails. See docs/PERFORMANCE.md."""
