# A security group per inventory group, with rules from the port matrix that the hosts' own firewalls come from.

locals {
  # A VPC carries no multicast, so VRRP has no way there: module entry stands in for the virtual address.
  ports = [for port in var.ports : port if port.protocol != "vrrp"]

  rules = merge([
    for port in local.ports : merge([
      for to in port.to : merge([
        for from in port.from : {
          for network in from == "any" ? ["0.0.0.0/0"] : from == "admin" ? var.admin_networks : [""] :
          join(" ", compact([port.name, to, from, from == "admin" ? network : ""])) => {
            protocol = port.protocol
            port     = port.port
            to       = to
            network  = network == "" ? null : network
            from     = network == "" ? from : null
          }
        }
      ]...)
    ]...)
  ]...)
}

resource "aws_security_group" "group" {
  for_each = toset(concat(["all"], var.groups))

  name        = "${var.fleet}-${each.key}"
  description = "Hosts of the inventory group ${each.key}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.fleet}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "port" {
  for_each = local.rules

  security_group_id            = aws_security_group.group[each.value.to].id
  description                  = each.key
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.network
  referenced_security_group_id = each.value.from == null ? null : aws_security_group.group[each.value.from].id
}

# Hosts fetch packages and send mail; what they may reach is not narrowed, as on any other place of the fleet.
resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id = aws_security_group.group["all"].id
  description       = "outwards"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
