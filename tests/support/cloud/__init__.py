"""A local EC2 for tests: moto answers the AWS provider, and every instance that it reports is a sandbox host that answers SSH."""
