"""The machine and the process: folders, memory, threads, devices, settings."""
