"""A Ray cluster of two nodes on the loopback interface, in a program of its own.

    python tests/ray_nodes.py CPUS

Writes a line of JSON, its address and the process of each node by its id, and runs until its input
is closed.
"""

import contextlib
import json
import os
import socket
import sys

ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else it would listen to the network
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # else other tests that run at the same time come first
    "RAY_raylet_start_wait_time_s": "120",
}
"""What Ray reads, here and in a program that connects, when it is imported."""


def free_ports(*names: str) -> dict[str, int]:
    """A port for each name; with ports of its own a node need not wait for its agents."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}


def main(cpus: int) -> None:
    """Start the nodes, say where they are, and stop them in the end."""
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    for _ in range(2):
        nodes.add_node(
            num_cpus=cpus,
            node_ip_address="127.0.0.1",
            include_dashboard=False,
            include_log_monitor=False,
            no_monitor=True,
            **free_ports("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port"),
        )
    processes = {
        node.node_id: node.all_processes["raylet"][0].process.pid
        for node in (nodes.head_node, *nodes.worker_nodes)
    }
    print(json.dumps({"address": nodes.address, "processes": processes}), flush=True)
    sys.stdin.read()
    nodes.shutdown()


if __name__ == "__main__":
    os.environ |= ENVIRONMENT
    main(int(sys.argv[1]))
