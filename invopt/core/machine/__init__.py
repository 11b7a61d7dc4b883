"""Clock, threads, processes, and turns: what the machine has to give."""
