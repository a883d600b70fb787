"""Stories in a real window: real drags, real clicks, a real tray, real notifications, a real keyring."""
