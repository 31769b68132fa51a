mock_provider "aws" {}

variables {
  fleet      = "test"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-a", "subnet-b"]
  instances  = { lb1 = "i-1", lb2 = "i-2" }
  domain     = "news.example.org"
}

run "every_nginx_host_serves_both_ports" {
  command = plan
  override_resource {
    target          = aws_lb_target_group.nginx
    values          = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1" }
    override_during = plan
  }

  assert {
    condition     = keys(aws_lb_target_group_attachment.nginx) == ["http-lb1", "http-lb2", "https-lb1", "https-lb2"]
    error_message = "each nginx host must be a target for ports 80 and 443"
  }
  assert {
    condition = alltrue([
      for group in aws_lb_target_group.nginx :
      [group.health_check[0].path, group.health_check[0].port] == ["/lb-health", "80"]
    ])
    error_message = "the health check must use nginx's own endpoint"
  }
  assert {
    condition     = length(aws_route53_record.site) == 0
    error_message = "without a zone there must be no record"
  }
}

run "a_zone_gets_the_record" {
  command = plan
  variables { zone_id = "Z1" }

  assert {
    condition     = aws_route53_record.site[0].name == "news.example.org" && aws_route53_record.site[0].zone_id == "Z1"
    error_message = "the site's record must be in the given zone"
  }
}
