"""Count answers on a load balancer, or go on without it."""

from plugins.delegates import DelegatedAction as ActionModule

__all__ = ["ActionModule"]
