"""The modules that send requests to etcd."""

from tests.unit.roles.modules import ROLES, load
from tools.fleet.context import ROOT

client = load(ROOT / "plugins/module_utils/etcd_client.py", "ansible.module_utils.")
etcd_call = load(ROOT / "plugins/modules/etcd_call.py")
deploy_record = load(ROLES / "deploy/library/deploy_record.py")
former_members = load(ROLES / "etcd/library/etcd_former_members.py")
