# A VPC with one public subnet for each availability zone. Module access controls which traffic reaches the hosts.

resource "aws_vpc" "fleet" {
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  tags                 = { Name = var.fleet }
}

# Every VPC has a default group that allows all traffic between its members. This removes its rules.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.fleet.id
}

resource "aws_internet_gateway" "fleet" {
  vpc_id = aws_vpc.fleet.id
  tags   = { Name = var.fleet }
}

resource "aws_route_table" "fleet" {
  vpc_id = aws_vpc.fleet.id
  tags   = { Name = var.fleet }

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.fleet.id
  }
}

resource "aws_subnet" "zone" {
  for_each = { for index, zone in var.zones : zone => index }

  vpc_id            = aws_vpc.fleet.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 2, each.value)
  tags              = { Name = "${var.fleet}-${each.key}" }
}

resource "aws_route_table_association" "zone" {
  for_each = aws_subnet.zone

  subnet_id      = each.value.id
  route_table_id = aws_route_table.fleet.id
}
