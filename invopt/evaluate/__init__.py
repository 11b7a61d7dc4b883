"""Where evaluations happen: counted, limited, checked; here or in workers."""
