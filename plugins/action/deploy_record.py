"""Use the lock and the log of deploys on a member of etcd, or go on without it."""

from plugins.delegates import DelegatedAction as ActionModule

__all__ = ["ActionModule"]
