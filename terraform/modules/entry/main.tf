# A network load balancer in front of the nginx hosts, because VRRP does not work in a VPC.

resource "aws_lb" "entry" {
  name                             = var.fleet
  load_balancer_type               = "network"
  subnets                          = var.subnet_ids
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_target_group" "nginx" {
  for_each = { http = 80, https = 443 }

  name     = "${var.fleet}-${each.key}"
  vpc_id   = var.vpc_id
  port     = each.value
  protocol = "TCP"
  # nginx itself closes the connections of a drained host. A longer delay would only slow down replacements.
  deregistration_delay = 30

  # nginx's own endpoint over plain HTTP (role nginx, site/health.conf.j2).
  health_check {
    protocol            = "HTTP"
    port                = 80
    path                = "/lb-health"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "nginx" {
  for_each = merge([for service, group in aws_lb_target_group.nginx : {
    for name, id in var.instances : "${service}-${name}" => { group = group.arn, instance = id }
  }]...)

  target_group_arn = each.value.group
  target_id        = each.value.instance
}

resource "aws_lb_listener" "nginx" {
  for_each = aws_lb_target_group.nginx

  load_balancer_arn = aws_lb.entry.arn
  port              = each.value.port
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = each.value.arn
  }
}

resource "aws_route53_record" "site" {
  count = var.zone_id == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.domain
  type    = "A"

  alias {
    name                   = aws_lb.entry.dns_name
    zone_id                = aws_lb.entry.zone_id
    evaluate_target_health = true
  }
}
