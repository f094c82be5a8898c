"""One schema of settings, its TOML reader, and what follows from settings alone."""
