"""Run work in this process, in several processes or on the machines of a cluster."""
