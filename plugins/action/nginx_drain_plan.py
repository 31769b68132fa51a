"""Plan which hosts a load balancer drains, or go on without it."""

from plugins.delegates import DelegatedAction as ActionModule

__all__ = ["ActionModule"]
