# One security group for each inventory group, with rules from the same port matrix as the firewalls of the hosts.

locals {
  # VRRP does not work in a VPC. Module entry replaces the virtual address.
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

# Hosts download packages and send e-mail, so outgoing traffic is not restricted, as everywhere in the fleet.
resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id = aws_security_group.group["all"].id
  description       = "outgoing"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
