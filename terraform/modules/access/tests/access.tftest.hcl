mock_provider "aws" {}

variables {
  fleet          = "test"
  vpc_id         = "vpc-1"
  groups         = ["loadbalancers", "app"]
  admin_networks = ["198.51.100.7/32", "203.0.113.0/24"]
  ports = [
    { name = "ssh", port = 22, protocol = "tcp", to = ["all"], from = ["admin"] },
    { name = "https", port = 443, protocol = "tcp", to = ["loadbalancers"], from = ["any"] },
    { name = "app", port = 8000, protocol = "tcp", to = ["app"], from = ["loadbalancers"] },
    { name = "vrrp", protocol = "vrrp", to = ["loadbalancers"], from = ["loadbalancers"] },
  ]
}

run "the_matrix_becomes_rules" {
  command = plan

  assert {
    condition = keys(output.rules) == [
      "app app loadbalancers", "https loadbalancers any",
      "ssh all admin 198.51.100.7/32", "ssh all admin 203.0.113.0/24",
    ]
    error_message = "there must be one rule for each port, target and source, and none for VRRP"
  }
  assert {
    condition = (
      output.rules["app app loadbalancers"].from == "loadbalancers" &&
      output.rules["app app loadbalancers"].network == null
    )
    error_message = "a rule between groups must name a group and no network"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.port["https loadbalancers any"].cidr_ipv4 == "0.0.0.0/0"
    error_message = "`any` must mean everybody"
  }
}

run "the_whole_internet_as_admin_network_is_refused" {
  command = plan
  variables { admin_networks = ["0.0.0.0/0"] }
  expect_failures = [var.admin_networks]
}
