"""Resources of the machine: clock, threads, processes, and turns of the renderer."""
