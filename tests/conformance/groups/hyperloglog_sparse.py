"""HyperLogLogs that stay sparse for long."""

from conformance.arguments import Group
from conformance.groups.hyperloglog import COMMANDS

GROUP = Group("hyperloglog_sparse", COMMANDS, config={"hll-sparse-max-bytes": "3000"}, length=20)
