mock_provider "aws" {}

variables {
  fleet = "test"
  cidr  = "10.80.0.0/20"
  zones = ["a", "b", "c"]
}

run "each_zone_has_a_quarter_of_the_network" {
  command = plan

  assert {
    condition = (
      [for subnet in aws_subnet.zone : subnet.cidr_block] == ["10.80.0.0/22", "10.80.4.0/22", "10.80.8.0/22"]
    )
    error_message = "subnets must be in the order of the zones"
  }
}

run "another_zone_changes_no_subnet" {
  command = plan
  variables { zones = ["a", "b", "c", "d"] }

  assert {
    condition = (
      aws_subnet.zone["a"].cidr_block == "10.80.0.0/22" && aws_subnet.zone["d"].cidr_block == "10.80.12.0/22"
    )
    error_message = "the fourth zone must get the last quarter"
  }
}

run "a_duplicate_zone_is_refused" {
  command = plan
  variables { zones = ["a", "a"] }
  expect_failures = [var.zones]
}
