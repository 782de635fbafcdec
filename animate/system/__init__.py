"""What the machine gives: folders, memory, threads, devices."""
