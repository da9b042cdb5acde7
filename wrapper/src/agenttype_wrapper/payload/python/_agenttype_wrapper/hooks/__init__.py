"""One file per library: `install(module, calls)` patches it once it has been imported, by its public names."""
